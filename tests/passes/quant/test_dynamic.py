"""Dynamic quantisation: products and attention in integers, grids shared by who reads one tensor."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt.errors import UsageError
from passes.quant import columns, embeddings
from tests.support import apply, fires, operators, proto

DYNAMIC = "quant:scheme=dynamic"
PRODUCT = "agraph (float[N, 40] x) => (float[N, 24] y) { y = MatMul(x, w) }"
SPELLED = {"DynamicQuantizeLinear": 1, "MatMulInteger": 1, "Cast": 1, "Mul": 2}


def test_a_product_is_one_of_integers():
    model = fires(DYNAMIC, PRODUCT, {"w": (40, 24)}, leaves=SPELLED)
    weight = next(node for node in model.graph.nodes if node.op == "MatMulInteger").inputs[1]
    assert weight.dtype == np.int8


def test_gemm_with_its_bias():
    text = "agraph (float[N, 40] x) => (float[N, 24] y) { y = Gemm<transB = 1, alpha = 0.5>(x, w, b) }"
    fires(DYNAMIC, text, {"w": (24, 40), "b": (24,)}, leaves={**SPELLED, "Add": 1})


def test_readers_of_one_tensor_share_its_grid():
    text = """agraph (float[N, 40] x) => (float[N, 24] a, float[N, 24] b) {
        a = MatMul(x, w)  r = MatMul(x, v)  b = Sigmoid(r)
    }"""
    result = apply(DYNAMIC, text, {"w": (40, 24), "v": (40, 24)})
    assert operators(result.model)["DynamicQuantizeLinear"] == 1
    assert result.report.hits == {"dynamic_product": 2}


def test_old_opsets_are_raised():
    text = f'<ir_version: 5, opset_import: ["" : 9]>\n{PRODUCT}'
    assert apply(DYNAMIC, text, {"w": (40, 24)}).model.opsets[""] == 11


def test_a_product_in_half_floats_stays():
    text = "agraph (float16[N, 40] x) => (float16[N, 24] y) { y = MatMul(x, w) }"
    report = apply(DYNAMIC, text, {"w": np.ones((40, 24), np.float16)}).report
    assert not report.rewrites
    assert any("float16" in refusal.reason for refusal in report.refusals)


def test_options_choose_layers():
    text = """agraph (float[N, 40] x) => (float[N, 40] y) {
        [first] a = MatMul(x, w)  t = Tanh(a)  [second] y = MatMul(t, w)
    }"""
    report = apply(f"{DYNAMIC}:exclude=second", text, {"w": (40, 40)}).report
    assert [entry.place for entry in report.rewrites] == ["MatMul first"]


ATTENTION = """<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>
agraph (float[N, S, 16] x, int32[N, S] mask) => (float[N, S, 16] y) {
    y = com.microsoft.Attention<num_heads = 2ATTRIBUTES>(x, w, b, mask)
}"""


def test_attention_is_one_of_integers():
    text, weights = ATTENTION.replace("ATTRIBUTES", ""), {"w": (16, 48), "b": (48,)}
    fires(DYNAMIC, text, weights, leaves=["DynamicQuantizeLinear", "QAttention"])


def test_attributes_that_mean_nothing_are_left_out():
    text = ATTENTION.replace("ATTRIBUTES", ", rotary_embedding_dim = 0, unidirectional = 1, scale = 0.5")
    model = fires(DYNAMIC, text, {"w": (16, 48), "b": (48,)}, leaves=["DynamicQuantizeLinear", "QAttention"])
    attention = next(node for node in model.graph.nodes if node.op == "QAttention")
    assert attention.attrs == {"num_heads": 2, "unidirectional": 1, "scale": 0.5}


def test_what_stays_float_is_told_with_its_share_of_the_time(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.ones((4, 40), np.float32))
    text = PRODUCT.replace("y = MatMul(x, w)", "a = MatMul(x, w)  y = Erf(a)")
    report = apply(DYNAMIC, text, {"w": (40, 24)}, calibration=tmp_path / "data.npz").report
    (table,) = report.tables
    assert [row[0] for row in table.rows] == ["Erf"]


def test_attention_with_what_the_other_lacks_is_taken_apart():
    text = ATTENTION.replace("ATTRIBUTES", ", qkv_hidden_sizes = [16, 16, 16]")
    result = apply(DYNAMIC, text, {"w": (16, 48), "b": (48,)})
    assert operators(result.model) == {**SPELLED, "Split": 1, "MultiHeadAttention": 1}
    assert not result.report.rolled_back


@pytest.mark.parametrize("limit", [1 << 18, 40 * 6])
def test_a_layer_below_its_floor_is_undone(limit, monkeypatch):
    monkeypatch.setattr(columns, "WEIGHTS", limit)
    report = apply(f"{DYNAMIC}:floor=70", PRODUCT, {"w": (40, 24)}).report
    assert not report.rewrites
    assert "sqnr is" in report.rolled_back[0].verdict.detail


def test_weights_that_are_not_finite_stay():
    report = apply(DYNAMIC, PRODUCT, {"w": np.full((40, 24), np.inf, np.float32)}).report
    assert not report.rewrites
    assert any("not all finite" in refusal.reason for refusal in report.refusals)


def test_the_runtime_finds_its_fused_kernel(tmp_path):
    import onnx
    import onnxruntime as ort

    result = graphopt.optimize(proto(PRODUCT, {"w": (40, 24)}), passes=DYNAMIC)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(result.model.to_proto().SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = operators(onnx.load(tmp_path / "optimised.onnx"))
    assert found == {"DynamicQuantizeMatMul": 1}


def test_without_vnni_weights_have_seven_bits():
    result = apply(DYNAMIC, PRODUCT, {"w": (40, 24)}, target="x64-avx2")
    (weight,) = [held for held in result.model.graph.initializers if held.dtype == np.int8 and held.shape]
    assert np.abs(weight.values).max() == 63


NORMALISED = """agraph (int64[N, S] i, float[N, S, 16] x) => (float[N, S, 24] y) {
    e = Gather (t, i)
    s = Add (e, x)
    n = LayerNormalization <axis = -1> (s, g, b)
    y = MatMul (n, w)
}"""


@pytest.mark.parametrize("target", ["ort", "cpu"])
def test_what_is_slow_on_processors_is_not_made_whatever_runs_elsewhere_too(target, monkeypatch):
    monkeypatch.setattr(embeddings, "LEAST", 64)
    shapes = {"t": (50, 16), "g": (16,), "b": (16,), "w": (16, 24)}
    made = operators(apply(DYNAMIC, NORMALISED, shapes, target=target).model)
    assert made["LayerNormalization"] == made["GatherBlockQuantized"] == made["MatMulInteger"] == 1
    assert "SkipLayerNormalization" not in made


@pytest.mark.parametrize("target", ["cuda", "tensorrt"])
def test_targets_that_find_no_grids_are_told(target):
    with pytest.raises(UsageError, match="dynamic quantisation is for processors"):
        apply(DYNAMIC, PRODUCT, {"w": (40, 24)}, target=target)
