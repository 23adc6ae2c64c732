"""HardSigmoid and HardSwish in integers: the grids that make them, and that nothing of them stays float."""

import numpy as np
import pytest

from passes.quant.activations import hard_sigmoid_grids, hard_swish_grid, hard_swish_readings, silu_grid, silu_lines
from passes.quant.grid import INT8, UINT8, UINT16
from tests.passes.quant.executing import executed, first_output, quantised
from tests.support import proto

SHAPE = (8, 12, 12)
LAYER = """
<ir_version: 8, opset_import: ["" : {opset}]>
net (float[N, 8, 12, 12] x) => (float[N, 16, 12, 12] y) {{
    a = Conv (x, w, b)
    {activation}
    y = Conv (h, v)
}}
"""
WEIGHTS = {"w": (16, 8, 1, 1), "b": (16,), "v": (16, 16, 1, 1)}
SWISHES = {
    "operator": (17, "h = HardSwish (a)"),
    "product": (
        13,
        "g = HardSigmoid <alpha: float = 0.16666667, beta: float = 0.5> (a)\n    h = Mul (a, g)",
    ),
    "clip": (
        13,
        """three = Constant <value = float {3}> ()
        zero = Constant <value = float {0}> ()
        six = Constant <value = float {6}> ()
        s = Add (a, three)
        r = Clip (s, zero, six)
        p = Mul (a, r)
        h = Div (p, six)""",
    ),
}
SIGMOIDS = {"a sixth": "h = HardSigmoid <alpha: float = 0.16666667> (a)", "a fifth": "h = HardSigmoid (a)"}


def layer(activation, opset=17):
    return proto(LAYER.format(opset=opset, activation=activation), WEIGHTS)


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=3 * np.random.default_rng(1).standard_normal((16, *SHAPE)).astype(np.float32))
    return path


def noise(model, result):
    """The signal in dB over noise that quantisation left, on other samples than it was calibrated on."""
    feeds = {"x": 3 * np.random.default_rng(2).standard_normal((4, *SHAPE)).astype(np.float32)}
    exact, found = (first_output(message, feeds) for message in (model, result.model.to_proto()))
    return 10 * np.log10(np.square(exact).mean() / np.square(exact - found).mean())


# ---- grids ----


@pytest.mark.parametrize("dtype", [UINT8, INT8, UINT16])
@pytest.mark.parametrize(("alpha", "beta"), [(1 / 6, 0.5), (0.2, 0.5), (1.0, 0.0), (0.3, 0.25), (0.2, 0.2)])
def test_hard_sigmoid_is_what_its_operand_is_rounded_to(alpha, beta, dtype):
    operand, result = hard_sigmoid_grids(alpha, beta, dtype)
    x = np.linspace(-9, 9, 4001) + 1e-4
    found, expected = operand.quantise(x).astype(int), result.quantise(np.clip(alpha * x + beta, 0, 1)).astype(int)
    assert np.abs(found - expected).max() <= (dtype == UINT16)  # of whose steps a float32 scale is not sure


@pytest.mark.parametrize(("alpha", "beta"), [(1 / 6, 1 / 3 + 1e-3), (0.2, -0.5), (0.2, 1.5), (-0.2, 0.5)])
def test_hard_sigmoid_without_such_a_grid_has_none(alpha, beta):
    assert hard_sigmoid_grids(alpha, beta, UINT8) is None


@pytest.mark.parametrize("dtype", [UINT8, INT8])
@pytest.mark.parametrize("high", [0.0, 0.5, 2.9, 3.0, 4.7, 20.0, 762.0])
def test_the_grid_of_hard_swish_starts_at_its_bend_and_reaches_as_far_as_its_operand(high, dtype):
    grid = hard_swish_grid(high, dtype)
    made = hard_swish_readings(grid)
    gate, bend = made.grids[1], made.high
    assert grid.bottom == pytest.approx(-3)
    assert grid.top >= high * (1 - 1e-6)
    assert gate.dequantise(np.asarray(grid.low)) == 0
    assert (bend - int(gate.zero)) * float(gate.scale) == pytest.approx(1)
    assert (bend - int(grid.zero)) * float(grid.scale) == pytest.approx(3)


@pytest.mark.parametrize("dtype", [UINT8, INT8])
@pytest.mark.parametrize("high", [770.0, 5e3, 1e6])
def test_hard_swish_of_huge_numbers_is_what_its_operand_is_rounded_to(high, dtype):
    grid = hard_swish_grid(high, dtype)
    x = np.linspace(-high, high, 100_001)
    wrong = np.abs(grid.rounded(x) - x * np.clip(x + 3, 0, 6) / 6)
    assert wrong.max() <= (0.5 + 1 / 8) * float(grid.scale) * (1 + 1e-6)


@pytest.mark.parametrize("dtype", [UINT8, INT8])
@pytest.mark.parametrize("high", [0.0, 0.5, 2.9, 8.0, 40.0])
def test_two_readings_of_an_integer_are_two_lines_near_silu(high, dtype):
    grid = silu_grid(high, dtype)
    x = np.linspace(-5, max(high, 0.69), 1001)
    made = silu_lines(grid)
    integers = grid.quantise(x)
    parts = (integers, np.clip(integers, made.low, made.high))
    found = sum(one.dequantise(part) for one, part in zip(made.grids, parts, strict=True))
    lines = 0.55 * np.maximum(x, -0.47) + 0.5 * np.maximum(x, 0.69) - 0.32
    assert np.abs(found - lines).max() <= 1.5 * float(grid.scale)
    assert np.abs(lines - x / (1 + np.exp(-x)))[x < 10].max() < 0.25


# ---- layers ----


@pytest.mark.parametrize("written", ["qdq", "qoperator"])
def test_hard_swish_of_huge_numbers_is_no_call(written, data, tmp_path):
    huge = tmp_path / "huge.npz"
    np.savez(huge, **{name: 1e4 * values for name, values in np.load(data).items()})
    opset, activation = SWISHES["operator"]
    result = quantised(layer(activation, opset), huge, passes=f"quant:scheme=static:format={written}")
    assert not result.report.rolled_back
    found = executed(result.model.to_proto())
    assert found["QLinearConv"] == 2
    assert not found["QLinearMul"]


@pytest.mark.parametrize("written", ["qdq", "qoperator"])
@pytest.mark.parametrize("spelling", SWISHES)
def test_hard_swish_is_a_product_of_integers(spelling, written, data):
    opset, activation = SWISHES[spelling]
    model = layer(activation, opset)
    result = quantised(model, data, passes=f"quant:scheme=static:format={written}")
    assert not result.report.rolled_back
    found = executed(result.model.to_proto())
    assert found["QLinearConv"] == 2
    assert found["QLinearMul"] == found["Clip"] == 1
    assert found["QuantizeLinear"] == found["DequantizeLinear"] == 1
    assert noise(model, result) > 30


@pytest.mark.parametrize("written", ["qdq", "qoperator"])
@pytest.mark.parametrize("slope", SIGMOIDS)
def test_hard_sigmoid_is_no_operator_at_all(slope, written, data):
    model = layer(SIGMOIDS[slope])
    result = quantised(model, data, passes=f"quant:scheme=static:format={written}")
    assert not result.report.rolled_back
    found = executed(result.model.to_proto())
    assert found["QLinearConv"] == 2
    assert not {"HardSigmoid", "Clip", "QLinearMul"} & found.keys()
    assert found["QuantizeLinear"] == found["DequantizeLinear"] == 1
    assert noise(model, result) > 30


def test_no_clip_is_written_where_nothing_reaches_three(data):
    model = layer("h = HardSwish (a)")
    for tensor in model.graph.initializer:
        if tensor.name in "wb":
            tensor.raw_data = (np.frombuffer(tensor.raw_data, np.float32) / 20).tobytes()
    result = quantised(model, data)
    assert "Clip" not in executed(result.model.to_proto())
    assert noise(model, result) > 25


def test_an_operand_that_others_read_too_keeps_its_own_grid(data):
    model = layer("g = HardSwish (a)\n h = Add (a, g)")
    result = quantised(model, data)
    assert "QLinearMul" not in executed(result.model.to_proto())
    assert noise(model, result) > 25


SILUS = {
    "product": (17, "g = Sigmoid (a)\n    h = Mul (a, g)"),
    "swish": (24, "h = Swish (a)"),
    "quick": (17, "h = com.microsoft.QuickGelu <alpha: float = 1.0> (a)"),
}


def silu_layer(spelling):
    opset, activation = SILUS[spelling]
    text = LAYER.replace('["" : {opset}]', '["" : {opset}, "com.microsoft" : 1]')
    return proto(text.format(opset=opset, activation=activation), WEIGHTS)


@pytest.mark.parametrize("spelling", SILUS)
def test_silu_is_a_sigmoid_and_a_product_of_integers(spelling, data):
    model = silu_layer(spelling)
    result = quantised(model, data)
    found = executed(result.model.to_proto())
    assert found["QLinearSigmoid"] == found["QLinearMul"] == 1
    assert found["QuantizeLinear"] == found["DequantizeLinear"] == 1
    assert noise(model, result) > 30


@pytest.mark.parametrize("written", ["qdq", "qoperator"])
@pytest.mark.parametrize("spelling", SILUS)
def test_silu_becomes_two_lines_when_asked(spelling, written, data):
    model = silu_layer(spelling)
    result = quantised(model, data, passes=f"quant:scheme=static:silu=lines:format={written}")
    assert not result.report.rolled_back
    found = executed(result.model.to_proto())
    assert found["QLinearAdd"] == found["Clip"] == 1
    assert not {"QLinearSigmoid", "QLinearMul", "QuickGelu"} & found.keys()
    assert 24 < noise(model, result) < 40


@pytest.mark.parametrize(
    "activation",
    ["e = Relu (a)\n g = Sigmoid (e)\n h = Mul (e, g)", "g = Sigmoid (a)\n m = Mul (a, g)\n h = Add (m, a)"],
    ids=["of another operator", "others read the operand"],
)
def test_silu_stays_exact_where_lines_have_no_grid(activation, data):
    model = layer(activation)
    result = quantised(model, data, passes="quant:scheme=static:silu=lines")
    assert "QuickGelu" not in {node.op_type for node in result.model.to_proto().graph.node}
    assert noise(model, result) > 30


def test_silu_of_single_pixels_stays_exact(data):
    model = layer("p = GlobalAveragePool (a)\n c = Conv (p, v)\n g = Sigmoid (c)\n s = Mul (c, g)\n h = Mul (a, s)")
    result = quantised(model, data, passes="quant:scheme=static:silu=lines")
    assert executed(result.model.to_proto())["QLinearSigmoid"] == 1
