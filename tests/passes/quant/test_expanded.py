"""Weights that are expanded where they are read: tables, 8-bit floats, 8-bit integers of convolutions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from graphopt.ir import walk
from graphopt.ir.types import Constant
from passes.quant.codebook import fitted, means
from passes.quant.expanded import LEAST
from tests.support import apply, operators

RNG = np.random.default_rng(0)
CONV = "agraph (float[N, 8, 6, 6] x) => (float[N, 16, 4, 4] y) { y = Conv(x, w, b) }"
WEIGHTS = {"w": (16, 8, 3, 3), "b": (16,)}
PRODUCT = "agraph (float[N, 64] x) => (float[N, 32] y) { y = Gemm<transB = 1>(x, w, b) }"


def test_a_table_of_few_numbers_is_found_exactly():
    values = RNG.choice([-3.0, -0.5, 0.0, 2.0], (20, 30)).astype(np.float32)
    table, positions = fitted(values, 2)
    assert np.allclose(table[positions.astype(int)], values, atol=1e-3)


@pytest.mark.parametrize("count", [4, 16, 256])
def test_a_table_serves_numbers_of_a_bell_as_well_as_the_best_quantiser(count):
    values = RNG.standard_normal(200_000)
    table = means(values, count)
    noise = np.square(values - table[np.searchsorted((table[1:] + table[:-1]) / 2, values)]).mean()
    best = {4: 0.1175, 16: 0.009497, 256: 4.15e-5}[count]  # Max, 1960; the last from Panter and Dite's formula
    assert noise < 1.1 * best


def test_a_constant_tensor_has_a_table_too():
    table, positions = fitted(np.full((5, 5), 2.5, np.float32), 4)
    assert (table[positions.astype(int)] == 2.5).all()


def test_weights_become_positions_in_a_table():
    result = apply("quant:scheme=codebook", CONV, WEIGHTS)
    assert operators(result.model) == {"Cast": 1, "Gather": 1, "Conv": 1}
    assert result.model.opsets[""] == 21
    held = {str(one.dtype) for one in result.model.graph.initializers}
    assert held == {"uint4", "float32"}
    assert 18 < result.report.whole.error < 25
    assert not result.report.rolled_back


@pytest.mark.parametrize(("text", "weights"), [(CONV, WEIGHTS), (PRODUCT, {"w": (32, 64), "b": (32,)})])
def test_weights_become_floats_of_8_bits(text, weights):
    result = apply("quant:scheme=fp8", f'<ir_version: 10, opset_import: ["" : 17]>\n{text}', weights)
    assert operators(result.model)["DequantizeLinear"] == 1
    assert [str(one.dtype) for one in result.model.graph.initializers][-1] in ("float32", "float8_e4m3fn")
    assert any(one.dtype == ml_dtypes.float8_e4m3fn for one in result.model.graph.initializers)
    assert result.report.whole.error > 28
    assert not result.report.rolled_back


def test_convolutions_have_weights_of_8_bits():
    result = apply("quant:scheme=int8", CONV, WEIGHTS)
    assert operators(result.model) == {"DequantizeLinear": 1, "Conv": 1}
    (scale,) = [one for one in result.model.graph.initializers if one.shape == (16,) and one.name != "b"]
    assert scale.dtype == np.float32
    assert result.report.whole.error > 38


def test_weights_that_calls_in_bodies_give_do_not_stay_behind():
    values = ", ".join(f"{value:.3f}" for value in RNG.standard_normal(16 * 8 * 3 * 3))
    text = f"""agraph (float[N, 8, 6, 6] x, bool c) => (float[N, 16, 4, 4] y) {{
        y = If (c) <
            then_branch = one () => (float[N, 16, 4, 4] t) {{
                w = Constant <value = float[16, 8, 3, 3] {{{values}}}> ()
                t = Conv (x, w)
            }},
            else_branch = other () => (float[N, 16, 4, 4] e) {{
                k = Constant <value = float[16, 8, 3, 3] {{{values}}}> ()
                e = Conv <pads = [0, 0, 0, 0]> (x, k)
            }}
        >
    }}"""
    result = apply("quant:scheme=int8", text, {})
    assert result.report.hits["int8_weight"] == 2
    held = [tensor for node in walk.nodes(result.model.graph) for tensor in node.inputs if isinstance(tensor, Constant)]
    assert {str(one.dtype) for one in held if one.size > 16} == {"int8"}
    assert "Constant" not in [node.op for node in walk.nodes(result.model.graph)]


def test_shared_weights_are_stored_once():
    text = "agraph (float[N, 64] x) => (float[N, 64] y) { a = MatMul(x, w)  b = Tanh(a)  y = MatMul(b, w) }"
    result = apply("quant:scheme=codebook", text, {"w": (64, 64)})
    assert result.report.hits["codebook_weight"] == 2
    assert len(result.model.graph.initializers) == 2


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({**WEIGHTS, "w": np.full((16, 8, 3, 3), np.nan, np.float32)}, "not all finite"),
        ({**WEIGHTS, "w": np.ones((16, 8, 3, 3), np.float16)}, "of float16"),
    ],
)
def test_what_stays_says_why(weights, reason):
    text = CONV.replace("float[", "float16[") if weights["w"].dtype == np.float16 else CONV
    bias = weights["b"] if weights["w"].dtype != np.float16 else np.ones(16, np.float16)
    result = apply("quant:scheme=codebook", text, {**weights, "b": bias})
    assert not result.report.rewrites
    assert any(reason in refusal.reason for refusal in result.report.refusals)


def test_small_weights_take_no_room():
    assert LEAST > 8 * 8
    assert not apply(
        "quant:scheme=codebook", "agraph (float[N, 8] x) => (float[N, 8] y) { y = MatMul(x, w) }", {"w": (8, 8)}
    ).report.rewrites


@pytest.mark.parametrize(("scheme", "values", "best"), [("ternary", 3, 7.2), ("binary", 2, 4.4)])
def test_weights_of_two_or_three_values(scheme, values, best):
    text = "agraph (float[N, 16, 256] x) => (float[N, 16, 32] y) { y = MatMul(x, w) }"
    result = apply(f"quant:scheme={scheme}:block=32", text, {"w": (256, 32)})
    (node,) = result.model.graph.nodes
    codes = node.inputs[1].values
    assert node.op == "MatMulNBits"
    assert len({int(code) for part in range(4) for code in np.unique(codes >> 2 * part & 3)}) == values
    assert best - 1 < result.report.whole.error < best + 1


@pytest.mark.parametrize(("text", "weights"), [(CONV, WEIGHTS), (PRODUCT, {"w": (32, 64), "b": (32,)})])
def test_with_data_what_is_multiplied_is_in_8_bits_too(text, weights, tmp_path):
    shape = (16, 8, 6, 6) if text is CONV else (16, 64)
    np.savez(tmp_path / "data.npz", x=RNG.standard_normal(shape).astype(np.float32))
    result = apply("quant:scheme=fp8", text, weights, calibration=tmp_path / "data.npz", target="tensorrt")
    assert operators(result.model)["QuantizeLinear"] == 1
    assert operators(result.model)["DequantizeLinear"] == 2
    assert not result.report.rolled_back
    assert result.report.whole.error > 24
