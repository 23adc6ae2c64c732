from __future__ import annotations

import numpy as np
import pytest

from passes.blocks.activation import bias_fast_gelu, bias_gelu, fast_gelu, fused_gelu
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

EXACT = "a = Mul(x, 0.70710678) e = Erf(a) p = Add(e, 1.0) m = Mul(x, p) y = Mul(m, 0.5)"
TANH = (
    "q = Pow(x, 3.0) c = Mul(q, 0.044715) s = Add(x, c) u = Mul(s, 0.7978845608) t = Tanh(u) p = Add(t, 1.0) "
    "h = Mul(x, 0.5) y = Mul(h, p)"
)
BIAS = {"bias": np.linspace(-1, 1, 8, dtype=np.float32)}
ADD = "b = Add(x, bias) "
OWN = '<ir_version: 10, opset_import: ["": 17, "com.microsoft": 1]> g (float[N,3,8] x) => (float[N,3,8] y) {{ {} }}'


@pytest.mark.parametrize("x", ["float[n, 3, 8]", "float16[n, 3, 8]", "float[8]"])
def test_the_error_function_is_gelu_before_opset_20_too(x: str):
    model = fires(fused_gelu, spelled(EXACT, opset=17, x=x), leaves=["Gelu"])
    assert model.graph.nodes[0].domain == "com.microsoft"


@pytest.mark.parametrize("x", ["float[n, 3, 8]", "float16[n, 3, 8]"])
def test_the_hyperbolic_tangent_is_fast_gelu_before_opset_20(x: str):
    fires(fast_gelu, spelled(TANH, opset=17, x=x), leaves=["FastGelu"])


def test_the_kernel_takes_no_scalar():
    refuses(fast_gelu, spelled(TANH, opset=17, x="float", y="float"), reason="no scalar")


@pytest.mark.parametrize(("rule", "body"), [(fused_gelu, EXACT), (fast_gelu, TANH)])
def test_the_standard_operator_is_preferred(rule, body: str):
    refuses(rule, spelled(body, opset=20), reason="opset 20 has Gelu")


@pytest.mark.parametrize(("rule", "body"), [(fused_gelu, EXACT), (fast_gelu, TANH)])
def test_portable_models_keep_the_spelling(rule, body: str):
    refuses(rule, spelled(body, opset=17), reason="the target portable does not run", target="portable")


@pytest.mark.parametrize("rank", [1, 4])
def test_constants_may_not_add_dimensions(rank: int):
    text = spelled(EXACT, opset=17, x="float[]", rank=rank, y="float" + str(["?"] * rank).replace("'", ""))
    refuses(fused_gelu, text, reason="more dimensions")
    refuses(fast_gelu, spelled(TANH, opset=17, x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")


def test_other_numbers_are_no_gelu():
    refuses(fused_gelu, spelled(EXACT.replace("0.70710678", "0.7"), opset=17))
    refuses(fast_gelu, spelled(TANH.replace("0.044715", "0.04"), opset=17))


@pytest.mark.parametrize("add", [ADD, "b = Add(bias, x) "])
def test_the_bias_goes_into_gelu(add: str):
    fires(bias_gelu, spelled(add + "y = Gelu(b)"), BIAS, leaves=["BiasGelu"])
    fires(bias_gelu, OWN.format(add + "y = com.microsoft.Gelu(b)"), BIAS, leaves=["BiasGelu"])
    fires(bias_fast_gelu, spelled(add + 'y = Gelu<approximate = "tanh">(b)'), BIAS, leaves=["FastGelu"])
    fires(bias_fast_gelu, OWN.format(add + "y = com.microsoft.FastGelu(b)"), BIAS, leaves=["FastGelu"])


def test_the_bias_goes_into_half_precision_too():
    half = {"bias": BIAS["bias"].astype(np.float16)}
    fires(bias_gelu, spelled(ADD + "y = Gelu(b)", x="float16[n, 3, 8]"), half, leaves=["BiasGelu"])


def test_each_approximation_has_its_own_operator():
    refuses(bias_gelu, spelled(ADD + 'y = Gelu<approximate = "tanh">(b)'), BIAS)
    refuses(bias_fast_gelu, spelled(ADD + 'y = Gelu<approximate = "none">(b)'), BIAS)


@pytest.mark.parametrize("bias", [(1,), (3, 8), (1, 8), ()])
def test_only_a_vector_as_long_as_the_rows_is_a_bias(bias: tuple[int, ...]):
    refuses(bias_gelu, spelled(ADD + "y = Gelu(b)"), {"bias": np.ones(bias, np.float32)}, reason="not known to be a")


def test_a_sum_that_something_else_reads_stays():
    refuses(bias_gelu, spelled(ADD + "g = Gelu(b) y = Add(g, b)"), BIAS)


def test_fast_gelu_keeps_only_part_of_the_precision_of_float64():
    text = """<ir_version: 10, opset_import: ["" : 15]> g (double[N,8] x) => (double[N,8] y)
        <double c = {0.044715}, double r = {0.7978845608028654}, double one = {1.0}, double half = {0.5}> {
        s = Mul(x, x) t = Mul(s, x) u = Mul(t, c) v = Add(x, u) w = Mul(v, r) h = Tanh(w) k = Add(h, one)
        z = Mul(x, half) y = Mul(z, k) }"""
    refuses(fast_gelu, text, reason="keeps only part of the precision", target="cuda")
