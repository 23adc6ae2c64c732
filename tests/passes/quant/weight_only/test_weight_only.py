"""Weight-only quantisation: what is taken, how it is spelled, what it promises, and what stays with which reason."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.errors import UsageError
from passes.quant import columns
from passes.quant.weight_only.blocked import nearest
from passes.quant.weight_only.methods import METHODS, Method, Rounded
from tests.support import apply, fires, operators, refuses

PRODUCT = "agraph (float[N, 40] x) => (float[N, 24] y) { y = MatMul(x, w) }"
SCHEMES = ("int8", "int4", "int2")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_product_becomes_one_with_weights_in_few_bits(scheme):
    model = fires(f"quant:scheme={scheme}:block=32", PRODUCT, {"w": (40, 24)}, leaves=["MatMulNBits"])
    (node,) = model.graph.nodes
    assert node.attrs["accuracy_level"] == 4
    assert node.attrs["bits"] == int(scheme[3:])
    assert (node.attrs["K"], node.attrs["N"], node.attrs["block_size"]) == (40, 24, 32)


def test_symmetric_weights_need_no_zeros():
    model = fires("quant:scheme=int4:symmetric=yes", PRODUCT, {"w": (40, 24)}, leaves=["MatMulNBits"])
    assert len(model.graph.nodes[0].inputs) == 3


@pytest.mark.parametrize(
    ("scheme", "header"),
    [("int8", 21), ("int4", 21), ("int4", 13), ("int2", 25)],
)
def test_any_runtime_dequantises_blocks(scheme, header):
    text = f'<ir_version: 10, opset_import: ["" : {header}]>\n{PRODUCT}'
    result = apply(f"quant:scheme={scheme}", text, {"w": (40, 24)}, target="portable")
    assert operators(result.model) == {"DequantizeLinear": 1, "MatMul": 1}
    assert result.model.opsets[""] == max(header, 25 if scheme == "int2" else 21)
    assert not result.report.rolled_back


@pytest.mark.parametrize("attributes", ["", "transB = 1", "alpha = 0.5", "alpha = -2.0, beta = 3.0"])
def test_gemm_is_taken_apart(attributes):
    text = f"agraph (float[N, 40] x) => (float[N, 24] y) {{ y = Gemm<{attributes}>(x, w, b) }}".replace("<>", "")
    shape = (24, 40) if "transB" in attributes else (40, 24)
    fires("quant:scheme=int8", text, {"w": shape, "b": (24,)}, leaves=["MatMulNBits"])


def test_a_summand_that_is_computed_is_added():
    text = "agraph (float[N, 40] x, float[N, 24] c) => (float[N, 24] y) { y = Gemm<beta = 0.5>(x, w, c) }"
    fires("quant:scheme=int8", text, {"w": (40, 24)}, leaves=["MatMulNBits", "Mul", "Add"])


def test_weights_behind_transposes_and_in_constant_nodes_are_found():
    text = "agraph (float[N, 40] x) => (float[N, 24] y) { t = Transpose<perm = [1, 0]>(w)  y = MatMul(x, t) }"
    fires("quant:scheme=int4", text, {"w": (24, 40)}, leaves=["MatMulNBits"])


def test_products_with_one_weight_share_it():
    text = """agraph (float[N, 40] x, float[N, 40] z) => (float[N, 24] a, float[N, 24] b) {
        a = MatMul(x, w)  b = MatMul(z, w)
    }"""
    model = fires("quant:scheme=int4", text, {"w": (40, 24)}, leaves={"MatMulNBits": 2})
    first, second = model.graph.nodes
    assert first.inputs[1] is second.inputs[1]
    assert len(model.graph.initializers) == 3


def test_products_in_bodies_are_found():
    text = """agraph (bool c, float[N, 40] x) => (float[N, 24] y) {
        y = If(c) <then_branch = a () => (float[N, 24] p) { p = MatMul(x, w) },
                   else_branch = b () => (float[N, 24] q) { q = MatMul(x, v) }>
    }"""
    result = apply("quant:scheme=int4", text, {"w": (40, 24), "v": (40, 24)})
    assert result.report.hits == {"weight_only": 2}
    assert not result.report.rolled_back


def test_half_floats_keep_their_type():
    text = "agraph (float16[N, 40] x) => (float16[N, 24] y) { y = MatMul(x, w) }"
    weight = np.random.default_rng(0).standard_normal((40, 24)).astype(np.float16)
    model = fires("quant:scheme=int4", text, {"w": weight}, leaves=["MatMulNBits"])
    assert model.graph.nodes[0].inputs[2].dtype == np.float16


@pytest.mark.parametrize(
    ("text", "weights", "reason"),
    [
        ("agraph (float[40] x) => (float[24] y) { y = MatMul(x, w) }", {"w": (40, 24)}, "not known to be a matrix"),
        ("agraph (float[2, 3, 40] x) => (float[2, 3, 24] y) { y = MatMul(x, w) }", {"w": (2, 40, 24)}, "3 dimensions"),
        ("agraph (double[2, 4] x) => (double[2, 4] y) { y = MatMul(x, w) }", {"w": np.eye(4)}, "of double"),
        ("agraph (float[40, 2] x) => (float[2, 24] y) { y = Gemm<transA = 1>(x, w) }", {"w": (40, 24)}, "transposed"),
        (PRODUCT, {"w": np.full((40, 24), np.nan, np.float32)}, "not all finite"),
        (PRODUCT.replace("x)", "x, float[40, 24] w)", 1), {"w": (40, 24)}, "input of the model"),
    ],
)
def test_what_stays_float_says_why(text, weights, reason):
    refuses("quant:scheme=int4", text, weights, reason=reason)


def test_products_of_activations_are_no_layers():
    text = "agraph (float[N, 4] x, float[4, 4] z) => (float[N, 4] y) { y = MatMul(x, z) }"
    assert not apply("quant:scheme=int4", text).report.refusals


def test_options_choose_layers():
    text = "agraph (float[N, 40] x) => (float[N, 40] y) { [first] a = MatMul(x, w)  [second] y = MatMul(a, w) }"
    for options in ("exclude=second", "only=first"):
        result = apply(f"quant:scheme=int4:{options}", text, {"w": (40, 40)})
        assert [entry.place for entry in result.report.rewrites] == ["MatMul first"]


def test_large_products_are_run_on_some_columns(monkeypatch):
    monkeypatch.setattr(columns, "WEIGHTS", 40 * 6)
    (entry,) = apply("quant:scheme=int4", PRODUCT, {"w": (40, 24)}).report.rewrites
    assert entry.verdict.status == "verified"
    assert "6 of its 24 columns" in entry.verdict.detail
    assert entry.verdict.error > 15


@pytest.mark.parametrize("limit", [1 << 18, 40 * 6])
def test_a_layer_below_its_floor_is_undone(limit, monkeypatch):
    monkeypatch.setattr(columns, "WEIGHTS", limit)
    report = apply("quant:scheme=int4:floor=60", PRODUCT, {"w": (40, 24)}).report
    assert not report.rewrites
    assert "sqnr is" in report.rolled_back[0].verdict.detail


def test_a_weight_that_is_rounded_wrongly_is_found(monkeypatch):
    wrong = Method("wrong", lambda matrix, fmt, _: Rounded(nearest(matrix, fmt)[0], 0.75))
    monkeypatch.setitem(METHODS, "nearest", wrong)
    report = apply("quant:scheme=int4", PRODUCT, {"w": (40, 24)}).report
    assert "0.75 steps" in report.rolled_back[0].verdict.detail


ATTENTION = """<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>
agraph (float[N, S, 16] x, int32[N, S] mask) => (float[N, S, 16] y) {
    y = com.microsoft.Attention<num_heads = 2>(x, w, b, mask)
}"""


def test_the_projections_of_attention_are_taken_out_of_it():
    text, weights = ATTENTION, {"w": (16, 48), "b": (48,)}
    fires("quant:scheme=int8", text, weights, leaves=["MatMulNBits", "Split", "MultiHeadAttention"])


@pytest.mark.parametrize("scheme", ["int4", "dynamic", "codebook", "fp8"])
def test_layers_that_there_are_not_are_told(scheme):
    text = PRODUCT.replace("y = MatMul", "[product] y = MatMul")
    with pytest.raises(UsageError, match="no node or tensor is called 'prodct': did you mean 'product'"):
        apply(f"quant:scheme={scheme}:exclude=prodct", text, {"w": (40, 24)})


def test_bits_that_are_not_those_of_the_scheme_are_refused():
    with pytest.raises(UsageError, match="scheme=int4 has 4 bits: leave out bits=8"):
        apply("quant:scheme=int4:bits=8", PRODUCT, {"w": (40, 24)})
