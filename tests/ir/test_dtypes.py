"""Every element type, in every layout that a file may use: read, decoded, written back untouched or changed."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphopt.errors import ModelError
from graphopt.ir import dtypes
from graphopt.ir.reader import load
from graphopt.ir.storage import Message, Payload
from graphopt.ir.writer import save, to_proto
from tests.ir.equal import assert_survives

CODES = [code for code in TensorProto.DataType.values() if code]
NUMERIC = [code for code in CODES if code != TensorProto.STRING]
SHAPES = [(), (0,), (1,), (3, 5), (2, 0, 4), (7, 1, 1023)]


def named(code):
    return TensorProto.DataType.Name(code)


def values(code, shape):
    """Random bit patterns of the dtype; finite, so that arrays can be compared by value too."""
    dtype = dtypes.numpy_dtype(code)
    size = int(np.prod(shape))
    rng = np.random.default_rng(code)
    if dtype.kind == "b":
        flat = rng.integers(0, 2, size).astype(bool)
    elif dtypes.bits(dtype) < 8:
        flat = rng.integers(0, 2 ** dtypes.bits(dtype), size).astype(np.uint8).view(dtype)
    elif dtype == ml_dtypes.float8_e8m0fnu:
        flat = rng.integers(0, 200, size).astype(np.uint8).view(dtype)
    else:
        flat = rng.integers(0, 100, size).astype(dtype)
    return flat.reshape(shape)


def typed(code, array):
    """The tensor with its values in the typed field, as `onnx.helper` puts them there."""
    raw = numpy_helper.from_array(array, "w")
    flat = np.frombuffer(raw.raw_data, np.uint8) if dtypes.bits(array.dtype) in (2, 4) else None
    tensor = TensorProto(name="w", dims=array.shape, data_type=code)
    field = getattr(tensor, helper.tensor_dtype_to_field(code))
    if flat is not None:
        field.extend(flat.tolist())
    elif array.dtype.kind == "c":
        field.extend(array.reshape(-1).view(np.float32 if array.dtype == np.complex64 else np.float64).tolist())
    elif helper.tensor_dtype_to_field(code) == "int32_data" and array.dtype.kind not in "iu":
        field.extend(array.reshape(-1).view(f"u{array.dtype.itemsize}").astype(np.int32).tolist())
    else:
        field.extend(array.reshape(-1).tolist())
    return tensor


def model_with(tensor):
    info = helper.make_tensor_value_info("y", tensor.data_type, tensor.dims)
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [info], [tensor])
    return helper.make_model(graph, ir_version=13, opset_imports=[helper.make_opsetid("", 26)])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("code", NUMERIC, ids=named)
class TestNumbers:
    @pytest.mark.parametrize("layout", ["raw", "typed"])
    def test_decode(self, code, shape, layout, tmp_path):
        array = values(code, shape)
        proto = model_with(numpy_helper.from_array(array, "w") if layout == "raw" else typed(code, array))
        assert_survives(proto)
        path = tmp_path / "m.onnx"
        onnx.save(proto, path)
        for source in (proto, proto.SerializeToString(), path):
            constant = load(source).graph.initializers[0]
            assert (constant.dtype, constant.shape) == (array.dtype, array.shape)
            assert constant.values.dtype == array.dtype
            assert constant.values.tobytes() == array.tobytes()
            assert not constant.values.flags.writeable

    def test_changed_arrays_are_written_raw(self, code, shape, tmp_path):
        array = values(code, shape)
        model = load(model_with(typed(code, values(code, (2,)))))
        model.graph.initializers[0].values = array
        save(model, tmp_path / "m.onnx")
        for written in (to_proto(model), onnx.load(tmp_path / "m.onnx")):
            tensor = written.graph.initializer[0]
            assert tensor.HasField("raw_data")
            assert tensor == numpy_helper.from_array(array, "w")

    def test_order_in_memory_does_not_matter(self, code, shape):
        array = values(code, shape)
        model = load(model_with(numpy_helper.from_array(array, "w")))
        model.graph.initializers[0].values = array.T.copy().T
        assert to_proto(model).graph.initializer[0] == numpy_helper.from_array(array, "w")


@pytest.mark.parametrize("code", NUMERIC, ids=named)
@pytest.mark.parametrize("layout", ["raw", "typed"])
@pytest.mark.parametrize("change", [-1, 1])
def test_wrong_number_of_values_is_refused(code, layout, change):
    array = values(code, (24,))
    tensor = numpy_helper.from_array(array, "w") if layout == "raw" else typed(code, array)
    tensor.dims[0] += 24 * change
    with pytest.raises(ModelError, match=r"tensor 'w': its shape \[(0|48)\] of \w+ needs"):
        load(model_with(tensor))


def test_serialised_bits_are_those_of_onnx():
    for code in NUMERIC:
        dtype = dtypes.numpy_dtype(code)
        assert len(numpy_helper.from_array(np.zeros(24, dtype)).raw_data) == 24 * dtypes.bits(dtype) // 8


class TestStrings:
    TEXTS = ("", "a", "ü\0", "x" * 5000)

    def test_text(self):
        tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[2, 2])
        tensor.string_data.extend(text.encode() for text in self.TEXTS)
        assert_survives(model_with(tensor))
        held = load(model_with(tensor)).graph.initializers[0].values
        assert held.reshape(-1).tolist() == list(self.TEXTS)

    def test_bytes_that_are_no_text(self):
        tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[2], string_data=[b"ok", b"\xff\xfe"])
        assert_survives(model_with(tensor))
        model = load(model_with(tensor))
        held = model.graph.initializers[0].values
        assert held.tolist() == [b"ok", b"\xff\xfe"]
        model.graph.initializers[0].values = held.copy()
        assert to_proto(model).graph.initializer[0] == tensor

    @pytest.mark.parametrize("array", [np.array(["a", "bc"]), np.array(["a", "bc"], object), np.array([b"a", b"bc"])])
    def test_any_array_of_strings(self, array):
        model = load(model_with(numpy_helper.from_array(np.zeros(2, np.float32), "w")))
        model.graph.initializers[0].values = array
        assert list(to_proto(model).graph.initializer[0].string_data) == [b"a", b"bc"]

    def test_raw_bytes_are_refused(self):
        for size in (10, 10_000):
            tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], raw_data=bytes(size))
            with pytest.raises(ModelError, match="tensor 'w'"):
                load(model_with(tensor).SerializeToString())


def test_a_bool_is_true_whatever_its_byte():
    tensor = TensorProto(name="w", data_type=TensorProto.BOOL, dims=[3], raw_data=b"\0\1\2")
    model = load(model_with(tensor))
    assert model.graph.initializers[0].values.view(np.uint8).tolist() == [0, 1, 1]
    assert to_proto(model).graph.initializer[0] == tensor


def test_large_payloads_stay_where_they_are(tmp_path):
    array = np.arange(5000, dtype=np.int64)
    for tensor, kind in ((numpy_helper.from_array(array, "w"), Payload), (typed(TensorProto.INT64, array), Payload)):
        path = tmp_path / "m.onnx"
        onnx.save(model_with(tensor), path)
        stored = load(path).graph.initializers[0].stored
        assert isinstance(stored, kind)
        assert stored.nbytes == len(tensor.raw_data) or tensor.int64_data
    small = numpy_helper.from_array(array[:10], "w")
    assert isinstance(load(model_with(small).SerializeToString()).graph.initializers[0].stored, Message)


def test_typed_values_in_the_wrong_field_are_refused(tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[5000], int32_data=range(5000))
    with pytest.raises(ModelError, match=r"tensor 'w'.*float_data"):
        load(model_with(tensor).SerializeToString())


def test_too_few_varints_are_noticed_when_they_are_read():
    tensor = TensorProto(name="w", data_type=TensorProto.INT64, dims=[5000], int64_data=[1 << 40] * 4999)
    constant = load(model_with(tensor).SerializeToString()).graph.initializers[0]
    with pytest.raises(ModelError, match="5,000"):
        _ = constant.values
