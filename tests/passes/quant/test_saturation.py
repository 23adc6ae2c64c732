"""The 16-bit saturation of x86 without VNNI."""

import numpy as np
import onnx
import pytest

from graphopt.ir.reader import load
from graphopt.pipeline.context import Context
from passes.quant.grid import UINT8, asymmetric
from passes.quant.kernels import X64_AVX2, X64_VNNI
from passes.quant.plan import Manner, rounded
from passes.quant.saturation import can_saturate, emulate
from passes.quant.units import find
from tests.passes.quant.nets import quantised, run, samples, saved, sqnr
from tests.support import proto

LARGE = np.full((8, 8, 3, 3), 0.99, np.float32) + samples((8, 8, 3, 3)) / 1000
NET = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 8, 10, 10] x) => (float[N, 8, M, M] y) { y = Conv <ATTRIBUTES> (x, w) }
"""


def bright():
    """Activations near the top of their range, which with weights near the top of theirs is too much for 16 bits."""
    return np.abs(samples((4, 8, 10, 10)) / 10 + 3)


def unit_of(text, weights, bits):
    context = Context(load(proto(text, weights)))
    (unit,) = find(context, X64_AVX2)[0]
    read = asymmetric(0, 4, UINT8)
    return unit, rounded(unit, read, Manner(X64_VNNI, channels=True, symmetric=False, bits=bits)), read


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ("pads = [1, 1, 1, 1]", (8, 8, 3, 3)),
        ("strides = [2, 2], pads = [0, 1, 2, 1]", (8, 8, 3, 3)),
        ("dilations = [2, 2]", (8, 8, 3, 3)),
        ("group = 2", (8, 4, 3, 3)),
        ('auto_pad = "SAME_LOWER", strides = [2, 2]', (8, 8, 2, 2)),
        ("strides = [1, 3]", (8, 8, 1, 3)),
    ],
)
def test_exact_sums_are_those_of_the_convolution(attributes, shape):
    unit, weight, read = unit_of(NET.replace("ATTRIBUTES", attributes), {"w": shape}, 8)
    found = emulate(unit, weight, read, [np.abs(samples((1, 8, 6, 6)))], seed=0)
    assert 30 < found.exact < 60
    assert found.share == 0
    assert found.saturated == found.exact


def test_a_matrix_is_emulated_against_what_the_instruction_does():
    text = '<ir_version: 8, opset_import: ["" : 17]> net (float[N, 4] x) => (float[N, 2] y) { y = MatMul (x, w) }'
    weights = np.array([[1, 1], [1, -1], [1, 1], [0, -1]], np.float32)
    unit, weight, read = unit_of(text, {"w": weights}, 8)
    found = emulate(unit, weight, read, [np.full((1, 4), 4, np.float32)], seed=0)
    assert found.share == 1 / 4  # the first two rows of the first column: 2 * 255 * 127 is cut to 32767
    exact, cut = 4 * 3.0, (32767 + 255 * 127) * (4 / 255) / 127
    assert found.saturated == pytest.approx(10 * np.log10(exact**2 / (exact - cut) ** 2), abs=0.01)


def test_seven_bits_cannot_saturate_and_eight_can():
    for bits, expected in ((8, True), (7, False)):
        unit, weight, _ = unit_of(NET.replace("ATTRIBUTES", "strides = [1, 1]"), {"w": LARGE}, bits)
        assert can_saturate(unit, weight) is expected


def test_a_depthwise_convolution_does_not_saturate():
    unit, weight, _ = unit_of(NET.replace("ATTRIBUTES", "group = 8"), {"w": np.ones((8, 1, 3, 3), np.float32)}, 8)
    assert not can_saturate(unit, weight)


def net():
    return proto(NET.replace("ATTRIBUTES", "pads = [1, 1, 1, 1]"), {"w": LARGE})


def test_a_layer_that_saturates_is_flagged_and_left_float(tmp_path):
    data = saved(tmp_path, x=bright())
    report = quantised(net(), data, "quant:scheme=static:bits=8", target="x64-avx2", verify="region").report
    (table,) = [table for table in report.tables if "saturate" in table.title]
    assert [row[0] for row in table.rows] == ["y"]
    (undone,) = report.rolled_back
    assert "saturate in 16 bits without VNNI" in undone.verdict.detail
    assert "bits=7" in undone.verdict.detail


def test_where_nothing_was_run_it_is_said_that_it_may(tmp_path):
    data = saved(tmp_path, x=bright())
    notes = quantised(net(), data, "quant:scheme=static:bits=8", target="x64-avx2", verify="off").report.notes
    assert any("may saturate in 16 bits" in note and "1 layer;" in note for note in notes)


@pytest.mark.parametrize("target", ["x64-avx2", "x64-any"])
def test_with_the_seven_bits_of_the_target_it_is_right(target, tmp_path):
    result = quantised(net(), saved(tmp_path, x=bright()), target=target, verify="region")
    assert not result.report.rolled_back
    assert not [table for table in result.report.tables if "saturate" in table.title]
    assert sqnr(run(net(), x=bright())[0], run(result.model, x=bright())[0]) > 35
    (weight,) = [one for one in result.model.to_proto().graph.initializer if len(one.dims) == 4]
    assert np.abs(onnx.numpy_helper.to_array(weight).astype(int)).max() == 64
