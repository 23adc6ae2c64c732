from __future__ import annotations

import numpy as np
import pytest

from passes.blocks.residual import simplified_norm, simplified_norm_mixed, skip_rms_norm, skip_rms_norm_sum
from tests.passes.fuse.spelling import spelled
from tests.support import apply, operators, refuses

GAMMA = {"gamma": np.linspace(0.5, 2, 8, dtype=np.float32)}
HALF = {"gamma": GAMMA["gamma"].astype(np.float16)}
RMS = "q = Pow(x, 2.0) m = ReduceMean(q, {-1}) e = Add(m, 1e-5) s = Sqrt(e) "
DIVIDED = RMS + "n = Div(x, s) y = Mul(n, gamma)"
MIXED = (
    "w = Cast<to = 1>(x) q = Mul(w, w) m = ReduceMean(q, axes) e = Add(m, eps) s = Sqrt(e) r = Reciprocal(s) "
    "n = Mul(w, r) c = Cast<to = 10>(n) y = Mul(gamma, c)"
)
X = "float[N,S,8]"
ADD = "t = Add(x, k) "
NORM = "y = SimplifiedLayerNormalization<axis = -1, epsilon = 0.001>(t, gamma)"
OFFICIAL = "y = RMSNormalization<axis = -1, epsilon = 0.001>(t, gamma)"


def left(rule, text: str, weights=GAMMA, **options) -> dict[str, int]:
    """What is left after the rule, everything verified. The onnx checker does not know ONNX Runtime's operator."""
    result = apply(rule, text, weights, **options)
    assert result.report.clean, result.report
    assert result.report.whole.status == "verified", result.report
    return dict(operators(result.model))


def net(body: str, opset: int = 17, results: str = "", x: str = X) -> str:
    return f'<ir_version: 10, opset_import: ["": {opset}]> g ({x} x, {x} k) => ({x} y{results}) {{ {body} }}'


def test_epsilon_is_no_attribute_of_what_computes_in_float64():
    body = "q = Mul(x, x) m = ReduceMean<axes = [-1]>(q) e = Add(m, eps) s = Sqrt(e) y = Div(x, s)"
    reason = "keeps only part of the precision"
    for target in ("cpu", "cuda"):
        text = net(body, x="double[N,S,8]")
        refuses(simplified_norm, text, {"eps": np.float64(1e-3)}, reason=reason, target=target)


@pytest.mark.parametrize("body", [DIVIDED, RMS + "r = Reciprocal(s) n = Mul(x, r) y = Mul(gamma, n)"])
def test_before_opset_23_the_runtime_has_it_under_another_name(body: str):
    assert left(simplified_norm, spelled(body)) == {"SimplifiedLayerNormalization": 1}


def test_half_precision():
    assert left(simplified_norm, spelled(DIVIDED, x="float16[n, 3, 8]"), HALF) == {"SimplifiedLayerNormalization": 1}


def test_casts_around_it_go():
    numbers = HALF | {"axes": np.array([-1]), "eps": np.float32(1e-5)}
    text = f"g (float16[N,S,8] x) => (float16[N,S,8] y) {{ {MIXED} }}"
    assert left(simplified_norm_mixed, text, numbers) == {"SimplifiedLayerNormalization": 1}


def test_statistics_in_float64_stay():
    numbers = HALF | {"axes": np.array([-1]), "eps": np.float64(1e-5)}
    text = f"g (float16[N,S,8] x) => (float16[N,S,8] y) {{ {MIXED.replace('to = 1>', 'to = 11>')} }}"
    refuses(simplified_norm_mixed, text, numbers, reason="not computed in float32")


def test_the_standard_operator_is_preferred():
    refuses(simplified_norm, spelled(DIVIDED, opset=23), GAMMA, reason="opset 23 has RMSNormalization")


def test_portable_models_keep_the_spelling():
    refuses(simplified_norm, spelled(DIVIDED), GAMMA, reason="the target portable does not run", target="portable")


@pytest.mark.parametrize("body", [RMS.replace("{-1}", "{1}") + "y = Div(x, s)"])
def test_only_the_last_dimensions_are_normalised(body: str):
    refuses(simplified_norm, spelled(body), GAMMA, reason="last axes")


@pytest.mark.parametrize(("norm", "opset"), [(NORM, 17), (OFFICIAL, 23)])
def test_a_sum_and_its_normalisation_are_one(norm: str, opset: int):
    assert left(skip_rms_norm, net(ADD + norm, opset)) == {"SkipSimplifiedLayerNormalization": 1}


def test_a_bias_goes_with_them():
    bias = {"bias": np.linspace(-1, 3, 8, dtype=np.float32)}
    text = net("u = Add(x, bias) t = Add(k, u) " + NORM)
    assert left(skip_rms_norm, text, GAMMA | bias) == {"SkipSimplifiedLayerNormalization": 1}


def test_a_sum_that_something_else_reads_comes_out_too():
    text = net(ADD + NORM + " z = Neg(t)", results=f", {X} z")
    assert left(skip_rms_norm_sum, text) == {"SkipSimplifiedLayerNormalization": 1, "Neg": 1}


def test_half_precision_sums():
    text = net(ADD + NORM, x="float16[N,S,8]")
    assert left(skip_rms_norm, text, HALF) == {"SkipSimplifiedLayerNormalization": 1}


def test_summands_must_have_one_shape():
    text = f'<ir_version: 10, opset_import: ["": 23]> g ({X} x, float[S,8] k) => ({X} y) {{ {ADD} {OFFICIAL} }}'
    refuses(skip_rms_norm, text, GAMMA, reason="not known to have the same shape")
