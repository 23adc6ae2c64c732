"""How units are laid out for x86 kernels: always the same numbers, and the kernels that it is for."""

import itertools

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from passes.quant import static
from passes.quant.grid import Grid, symmetric
from passes.quant.kernels import TABLES, X64_AMX
from passes.quant.plan import Weight
from passes.quant.tuning import grouped, shifted
from tests.passes.quant.executing import executed, first_output, quantised
from tests.support import proto

FIRST = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, {channels}, {size}, {size}] x) => (float[N, 16, P, Q] y) {{
    c = Conv <strides = [{stride}, {stride}], pads = {pads}> (x, w, b)
    y = Relu (c)
}}
"""
GATED = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 16, {height}, {width}] x) => (float[N, 16, P, Q] y) {{
    c = Conv (x, w)
    p = GlobalAveragePool (c)
    g = Conv (p, v)
    s = Sigmoid (g)
    m = Mul ({factors})
    y = Conv (m, u)
}}
"""
GATES = {"w": (16, 16, 1, 1), "v": (16, 16, 1, 1), "u": (16, 16, 1, 1)}


def first(channels=3, size=12, kernel=3, stride=2, pads=(1, 1, 1, 1)):
    text = FIRST.format(channels=channels, size=size, stride=stride, pads=list(pads))
    return proto(text, {"w": (16, channels, kernel, kernel), "b": (16,)})


@pytest.fixture
def fed(tmp_path):
    """Calibration data for a model, and the two ways to quantise it: as it is laid out for x86, and plainly."""

    def made(model, shape, monkeypatch):
        path = tmp_path / "data.npz"
        np.savez(path, x=np.random.default_rng(1).standard_normal((16, *shape)).astype(np.float32))
        tuned = quantised(model, path)
        with monkeypatch.context() as plainly:
            plainly.setattr(static, "tuned", lambda plan, *_: (plan, {}))
            plain = quantised(model, path, verify="off")
        feeds = {"x": np.random.default_rng(2).standard_normal((3, *shape)).astype(np.float32)}
        assert not tuned.report.rolled_back
        both = [result.model.to_proto() for result in (tuned, plain)]
        return *both, *(first_output(message, feeds) for message in both)

    return made


def convolved(x, weight, **attrs):
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attrs)
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "g", [given], [result], [numpy_helper.from_array(weight, "w")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return first_output(model, {"x": x})


# ---- first convolutions ----


def around(kernel, start, stride, width):
    """How much lies behind a row, for as many results as it holds strides; less than nothing if that cannot be."""
    return (width // stride - 1) * stride + kernel - width - start


ROWS = [
    (kernel, start, stride)
    for kernel, start, stride in itertools.product((1, 3, 4, 7), (0, 1, 2, 3, 6), (1, 2, 4))
    if start < kernel and around(kernel, start, stride, 12) >= 0
]


@pytest.mark.parametrize(("kernel", "start", "stride"), ROWS)
def test_a_convolution_goes_over_groups_of_four_pixels(kernel, start, stride):
    rng = np.random.default_rng(kernel)
    x, weight = (rng.integers(-9, 9, shape).astype(np.float32) for shape in ((2, 3, 5, 12), (5, 3, 2, kernel)))
    end = around(kernel, start, stride, 12)
    values, before, after = grouped(weight, stride, start)
    joined = x.transpose(0, 2, 3, 1).reshape(2, 5, 3, 12).transpose(0, 3, 1, 2)
    made = convolved(joined, values, pads=[1, before, 0, after], strides=[2, 1])
    found = made.transpose(0, 2, 3, 1).reshape(2, made.shape[2], 12 // stride, 5).transpose(0, 3, 1, 2)
    assert np.array_equal(found, convolved(x, weight, strides=[2, stride], pads=[1, start, 0, end]))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (7, 2), (4, 4)])
def test_four_pixels_of_a_row_become_one(channels, kernel, stride, fed, monkeypatch):
    start = (kernel - stride + 1) // 2
    end = around(kernel, start, stride, 12)
    model = first(channels, 12, kernel, stride, [start, start, end, end])
    tuned, _, found, expected = fed(model, (channels, 12, 12), monkeypatch)
    assert executed(tuned)["Reshape"] == 2
    assert executed(tuned)["Transpose"] == 2  # of what the network reads and returns: none between
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "change", [{"size": 14}, {"size": "S"}, {"pads": (0, 0, 0, 0)}, {"stride": 3, "pads": (0,) * 4}]
)
def test_other_pixels_get_channels_of_zeros(change, fed, monkeypatch):
    size = change.get("size", 12)
    tuned, _, found, expected = fed(first(**change), (3, *[size if isinstance(size, int) else 12] * 2), monkeypatch)
    assert executed(tuned)["Pad"] == 1
    assert "Reshape" not in executed(tuned)
    assert np.array_equal(found, expected)


def test_four_channels_stay_as_they_are(fed, monkeypatch):
    tuned, plain, _, _ = fed(first(4), (4, 12, 12), monkeypatch)
    assert executed(tuned) == executed(plain)


# ---- gates ----


@pytest.mark.parametrize("factors", ["c, s", "s, c"])
def test_a_gate_is_repeated_along_rows(factors, fed, monkeypatch):
    model = proto(GATED.format(height=8, width=8, factors=factors), GATES)
    tuned, _, found, expected = fed(model, (16, 8, 8), monkeypatch)
    assert executed(tuned)["Tile"] == executed(tuned)["DequantizeLinear"] == 1
    assert np.array_equal(found, expected)


def test_a_gate_is_not_repeated_along_rows_of_unknown_length(fed, monkeypatch):
    model = proto(GATED.format(height="H", width="W", factors="c, s"), GATES)
    tuned, _, found, expected = fed(model, (16, 8, 8), monkeypatch)
    assert "Tile" not in executed(tuned)
    assert np.array_equal(found, expected)


# ---- tiles ----


def test_a_shifted_weight_stands_for_the_same_numbers():
    values = np.random.default_rng(0).standard_normal((4, 3, 2, 2))
    grid = symmetric(np.abs(values).max((1, 2, 3)), np.dtype(np.int8), axis=0)
    weight = Weight(grid.quantise(values), grid, None)
    moved = shifted(weight)
    assert np.all(moved.grid.zero == -1)
    assert np.array_equal(moved.grid.dequantise(moved.values), grid.dequantise(weight.values))
    assert np.array_equal(moved.grid.quantise(values), moved.values)


def test_a_weight_that_uses_the_least_integer_is_not_shifted():
    grid = Grid(np.dtype(np.int8), np.float32([0.1]), np.int8([0]), -128, 127, 0)
    weight = Weight(np.full((1, 4, 1, 1), -128, np.int8), grid, None)
    assert shifted(weight) is weight


@pytest.mark.parametrize(("channels", "on_tiles"), [(128, True), (16, False)])
def test_large_products_run_on_tiles_where_there_are_any(channels, on_tiles, fed, monkeypatch):
    model = proto(
        f"""
        <ir_version: 8, opset_import: ["" : 17]>
        net (float[N, {channels}, 16, 16] x) => (float[N, {channels}, 16, 16] y) {{
            y = Conv <pads = [1, 1, 1, 1]> (x, w)
        }}
        """,
        {"w": (channels, channels, 3, 3)},
    )
    monkeypatch.setitem(TABLES, "x64-vnni", X64_AMX)
    tuned, _, found, expected = fed(model, (channels, 16, 16), monkeypatch)
    held = [numpy_helper.to_array(tensor) for tensor in tuned.graph.initializer]
    zeros = [tensor for tensor in held if tensor.dtype == np.int8 and tensor.shape == (channels,)]
    assert any((tensor == -1).all() for tensor in zeros) == on_tiles
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("model", "shape", "step"),
    [
        (first(size=14), (3, 14, 14), "Pad"),
        (first(), (3, 12, 12), "Reshape"),
        (proto(GATED.format(height=8, width=8, factors="c, s"), GATES), (16, 8, 8), "Tile"),
    ],
    ids=["zeros", "groups", "gate"],
)
def test_both_formats_are_laid_out_alike(model, shape, step, tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.random.default_rng(1).standard_normal((16, *shape)).astype(np.float32))
    forms = [
        quantised(model, path, f"quant:scheme=static:format={form}", verify="off") for form in ("qdq", "qoperator")
    ]
    both = [result.model.to_proto() for result in forms]
    feeds = {"x": np.random.default_rng(2).standard_normal((3, *shape)).astype(np.float32)}
    assert all(executed(message)[step] for message in both)
    assert np.array_equal(*(first_output(message, feeds) for message in both))
