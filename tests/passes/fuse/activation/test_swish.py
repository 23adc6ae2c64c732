from __future__ import annotations

import pytest

from passes.fuse.activation import quick_gelu, silu
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

SILU = [
    "s = Sigmoid(x) y = Mul(x, s)",
    "s = Sigmoid(x) y = Mul(s, x)",
    "n = Neg(x) e = Exp(n) d = Add(e, 1.0) y = Div(x, d)",
]
QUICK = ["m = Mul(x, 1.702) s = Sigmoid(m) y = Mul(x, s)", "m = Mul(1.702, x) s = Sigmoid(m) y = Mul(s, x)"]


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_silu_fires_on_every_spelling(dtype):
    fires(silu, spelled(*SILU, x=f"{dtype}[n, 8]", opset=24), leaves={"Swish": 3})


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_quick_gelu_fires_on_every_spelling(dtype):
    model = fires(quick_gelu, spelled(*QUICK, x=f"{dtype}[n, 8]", opset=24), leaves={"Swish": 2})
    assert model.graph.nodes[0].attrs["alpha"] == pytest.approx(1.702, rel=1e-3)


def test_quick_gelu_fires_on_any_slope():
    fires(quick_gelu, spelled(QUICK[0].replace("1.702", "-0.3"), opset=24, rank=1), leaves=["Swish"])


@pytest.mark.parametrize(("rule", "body"), [(silu, SILU[0]), (quick_gelu, QUICK[0])])
def test_refuse_before_opset_24(rule, body):
    refuses(rule, spelled(body, opset=23), reason="needs opset 24")


@pytest.mark.parametrize(("rule", "body"), [(silu, SILU[0]), (quick_gelu, QUICK[0])])
def test_refuse_after_opset_24_where_nothing_runs_it(rule, body):
    refuses(rule, spelled(body, opset=25), reason="only at opset 24")


@pytest.mark.parametrize(("rule", "body"), [(silu, SILU[0]), (quick_gelu, QUICK[0])])
def test_refuse_double_which_no_cpu_runs(rule, body):
    refuses(rule, spelled(body, opset=24, x="double[8]"), reason="no kernel")


def test_refuse_a_gate_of_something_else():
    refuses(silu, spelled("s = Sigmoid(z) y = Mul(x, s)", more="float[n, 3, 8] z", opset=24))
    refuses(quick_gelu, spelled(QUICK[0].replace("Mul(x, 1", "Mul(z, 1"), more="float[n, 3, 8] z", opset=24))


def test_refuse_a_gate_used_elsewhere_or_returned():
    refuses(silu, spelled("s = Sigmoid(x) m = Mul(x, s) y = Add(m, s)", opset=24))
    refuses(silu, spelled(SILU[0], opset=24).replace("8] y)", "8] y, float[n, 3, 8] s)"))


def test_quick_gelu_refuses_a_slope_for_each_channel():
    text = spelled(QUICK[0].replace("1.702", "w"), opset=24, held="float[2] w = {1.0, 2.0}", x="float[n, 2]")
    refuses(quick_gelu, text, reason="not a single number")


def test_quick_gelu_refuses_a_slope_with_more_dimensions():
    refuses(quick_gelu, spelled(QUICK[0], opset=24, rank=3, x="float[8]", y="float[1, 1, 8]"), reason="more dimensions")
