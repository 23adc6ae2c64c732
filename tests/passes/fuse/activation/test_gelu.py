from __future__ import annotations

import pytest

from passes.fuse.activation import gelu
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

PYTORCH = "d = Div(x, 1.4142135) e = Erf(d) a = Add(e, 1.0) m = Mul(x, a) y = Mul(m, 0.5)"
SPELLINGS = [
    PYTORCH,
    "h = Mul(x, 0.5) d = Div(x, 1.4142135) e = Erf(d) a = Add(e, 1.0) y = Mul(h, a)",
    "d = Div(x, 1.4142135) e = Erf(d) a = Add(1.0, e) h = Mul(0.5, a) y = Mul(x, h)",
    "d = Mul(x, 0.70710677) e = Erf(d) a = Add(1.0, e) h = Mul(0.5, x) y = Mul(a, h)",
    "d = Mul(0.70710677, x) e = Erf(d) a = Add(e, 1.0) m = Mul(a, x) y = Div(m, 2.0)",
    "h = Div(x, 2.0) d = Div(x, 1.4142135) e = Erf(d) a = Add(e, 1.0) y = Mul(h, a)",
    "d = Div(x, 1.4142135) e = Erf(d) a = Add(e, 1.0) h = Div(a, 2.0) y = Mul(x, h)",
]


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_fires_on_every_spelling(dtype):
    fires(gelu, spelled(*SPELLINGS, x=f"{dtype}[n, 3, 8]"), leaves={"Gelu": len(SPELLINGS)})


def test_fires_since_opset_20():
    fires(gelu, spelled(PYTORCH, opset=20), leaves=["Gelu"])


def test_fires_on_constants_with_a_dimension():
    fires(gelu, spelled(PYTORCH, rank=1), leaves=["Gelu"])


def test_refuses_constants_with_more_dimensions_than_x():
    refuses(gelu, spelled(PYTORCH, x="float[8]", rank=2, y="float[1, 8]"), reason="may have more dimensions")


def test_refuses_constants_with_a_dimension_where_x_may_have_none():
    refuses(gelu, spelled(PYTORCH, x="float", rank=1, y="float[1]"), reason="may have more dimensions")


def test_refuses_before_opset_20():
    refuses(gelu, spelled(PYTORCH, opset=17), reason="needs opset 20")


def test_refuses_double_which_no_cpu_runs():
    refuses(gelu, spelled(PYTORCH.replace("1.4142135", "1.4142135623730951"), x="double[8]"), reason="no kernel")


@pytest.mark.parametrize("wrong", ["1.41", "2.0", "0.70711"])
def test_refuses_another_width(wrong):
    refuses(gelu, spelled(PYTORCH.replace("1.4142135", wrong)))


def test_refuses_another_offset_or_factor():
    refuses(gelu, spelled(PYTORCH.replace("(e, 1.0)", "(e, 1.001)")))
    refuses(gelu, spelled(PYTORCH.replace("(m, 0.5)", "(m, 0.51)")))


def test_refuses_two_different_inputs():
    body = "d = Div(z, 1.4142135) e = Erf(d) a = Add(e, 1.0) m = Mul(x, a) y = Mul(m, 0.5)"
    refuses(gelu, spelled(body, more="float[n, 3, 8] z"))


def test_refuses_values_used_elsewhere():
    refuses(gelu, spelled(PYTORCH.replace("y = Mul(m, 0.5)", "h = Mul(m, 0.5) y = Add(h, e)")))


def test_refuses_values_that_the_graph_returns():
    text = spelled(PYTORCH).replace("=> (float[n, 3, 8] y)", "=> (float[n, 3, 8] y, float[n, 3, 8] e)")
    refuses(gelu, text)
