from __future__ import annotations

import numpy as np
import pytest

from passes.blocks.activation import fused_quick_gelu, fused_silu, fused_swish
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

SILU = "s = Sigmoid(x) y = Mul(x, s)"
QUICK = "a = Mul(x, 1.702) s = Sigmoid(a) y = Mul(s, x)"


@pytest.mark.parametrize("x", ["float[n, 3, 8]", "float16[n, 3, 8]", "float[n]"])
@pytest.mark.parametrize("opset", [13, 21])
def test_silu_is_quick_gelu_with_the_slope_1(x: str, opset: int):
    model = fires(fused_silu, spelled(SILU, x=x, opset=opset), leaves=["QuickGelu"])
    assert model.graph.nodes[0].attrs == {"alpha": 1.0}


@pytest.mark.parametrize("x", ["float[n, 3, 8]", "float16[n, 3, 8]"])
def test_quick_gelu_keeps_its_slope(x: str):
    model = fires(fused_quick_gelu, spelled(QUICK, x=x), leaves=["QuickGelu"])
    assert model.graph.nodes[0].attrs["alpha"] == pytest.approx(1.702, rel=1e-3)


def test_swish_is_taken_apart_by_the_runtime_otherwise():
    model = fires(fused_swish, spelled("y = Swish<alpha = 1.5>(x)", opset=24), leaves=["QuickGelu"])
    assert model.graph.nodes[0].attrs == {"alpha": 1.5}
    model = fires(fused_swish, spelled("y = Swish(x)", opset=24), leaves=["QuickGelu"])
    assert model.graph.nodes[0].attrs == {"alpha": 1.0}


def test_constants_may_not_add_dimensions():
    refuses(fused_quick_gelu, spelled(QUICK, x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")


def test_a_gate_of_another_tensor_is_none():
    refuses(fused_silu, spelled("s = Sigmoid(x) r = Neg(x) y = Mul(r, s)"))


def test_a_sigmoid_that_something_else_reads_stays():
    refuses(fused_silu, spelled("s = Sigmoid(x) m = Mul(x, s) y = Add(m, s)"))


def test_a_slope_for_each_element_is_none():
    slopes = {"slope": np.linspace(1, 2, 8, dtype=np.float32)}
    refuses(fused_quick_gelu, spelled(QUICK.replace("1.702", "slope")), slopes, reason="not a single number")


def test_double_has_no_kernel_on_both_providers():
    refuses(fused_silu, spelled(SILU, x="double[n, 3, 8]"), reason="on double")


def test_a_slope_of_float64_must_fit_an_attribute():
    text = "g (double[N,8] x) => (double[N,8] y) { h = Mul(x, slope) s = Sigmoid(h) y = Mul(x, s) }"
    refuses(fused_quick_gelu, text, {"slope": np.float64(1.702)}, reason="fit an attribute", target="cuda")
