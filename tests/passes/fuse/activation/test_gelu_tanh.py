from __future__ import annotations

import pytest

from passes.fuse.activation import gelu_tanh
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

OUTER = " t = Tanh(u) a = Add(t, 1.0) m = Mul(x, a) y = Mul(m, 0.5)"
GPT2 = "p = Pow(x, 3.0) q = Mul(p, 0.044715) s = Add(x, q) u = Mul(s, 0.7978845608)"
SPELLINGS = [
    GPT2 + OUTER,
    "h = Mul(x, 0.5) " + GPT2 + " t = Tanh(u) a = Add(t, 1.0) y = Mul(h, a)",
    GPT2 + " t = Tanh(u) a = Add(1.0, t) h = Mul(0.5, a) y = Mul(x, h)",
    "p = Mul(x, x) q = Mul(x, p) r = Mul(0.044715, q) s = Add(x, r) u = Mul(0.79788456, s)" + OUTER,
    "p = Mul(0.044715, x) q = Mul(x, p) r = Mul(x, q) s = Add(x, r) u = Mul(0.79788456, s)" + OUTER,
    "p = Mul(x, x) q = Mul(p, 0.044715) r = Mul(q, x) s = Add(r, x) u = Mul(0.79788456, s)" + OUTER,
    "p = Mul(x, x) q = Mul(x, 0.044715) r = Mul(p, q) s = Add(r, x) u = Mul(0.79788456, s)" + OUTER,
    "p = Mul(0.044715, x) q = Mul(x, p) r = Add(q, 1.0) s = Mul(x, 0.79788456) u = Mul(s, r)" + OUTER,
    "p = Pow(x, 2.0) q = Mul(p, 0.044715) r = Add(q, 1.0) s = Mul(x, r) u = Mul(s, 0.79788456)" + OUTER,
    "p = Mul(x, x) q = Mul(p, 0.044715) r = Add(q, 1.0) s = Mul(r, 0.79788456) u = Mul(x, s)" + OUTER,
    "p = Mul(x, x) q = Mul(p, 0.0356774081) r = Add(q, 0.7978845608) u = Mul(x, r)" + OUTER,
    GPT2 + " v = Mul(u, 2.0) t = Sigmoid(v) y = Mul(x, t)",
    GPT2.replace("0.7978845608", "1.5957691216") + " t = Sigmoid(u) y = Mul(x, t)",
]


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_fires_on_every_spelling(dtype):
    fires(gelu_tanh, spelled(*SPELLINGS, x=f"{dtype}[n, 3, 8]"), leaves={"Gelu": len(SPELLINGS)})


def test_writes_the_approximation():
    model = fires(gelu_tanh, spelled(SPELLINGS[0], opset=20), leaves=["Gelu"])
    assert model.graph.nodes[0].attrs == {"approximate": "tanh"}


def test_refuses_constants_with_more_dimensions_than_x():
    refuses(gelu_tanh, spelled(SPELLINGS[0], x="float[8]", rank=2, y="float[1, 8]"), reason="may have more dimensions")


def test_refuses_before_opset_20():
    refuses(gelu_tanh, spelled(SPELLINGS[0], opset=17), reason="needs opset 20")


@pytest.mark.parametrize(
    ("number", "wrong"), [("0.044715", "0.0447"), ("0.7978845608", "0.8"), ("3.0", "2.0"), ("0.5", "1.0")]
)
def test_refuses_other_numbers(number, wrong):
    refuses(gelu_tanh, spelled(SPELLINGS[0].replace(number, wrong)))


def test_refuses_a_cube_of_something_else():
    refuses(gelu_tanh, spelled(SPELLINGS[0].replace("Pow(x", "Pow(z"), more="float[n, 3, 8] z"))


def test_refuses_values_used_elsewhere():
    refuses(gelu_tanh, spelled(SPELLINGS[0].replace("y = ", "w = ") + " y = Add(w, u)"))


def test_refuses_values_that_the_graph_returns():
    refuses(gelu_tanh, spelled(SPELLINGS[0]).replace("8] y)", "8] y, float[n, 3, 8] p)"))


def test_refuses_double_which_no_cpu_runs():
    refuses(
        gelu_tanh,
        spelled(SPELLINGS[0].replace("0.7978845608", "0.7978845608028654"), x="double[8]"),
        reason="no kernel",
    )
