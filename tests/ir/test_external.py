"""External data: found, checked, kept inside the folder, written beside the model or pointed at."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from graphopt.errors import ModelError, OutputError, UnsafeModelError
from graphopt.ir import weights
from graphopt.ir.reader import load
from graphopt.ir.storage import Payload
from graphopt.ir.writer import save, to_proto
from tests.ir.equal import assert_same
from tests.ir.test_atomic import names
from tests.ir.test_roundtrip import WEIGHTS, parse

ARRAYS = {
    "a": np.arange(30_000, dtype=np.float32).reshape(300, 100),
    "b": np.arange(3000, dtype=np.int64),
    "c": np.arange(100, dtype=np.int8),
}


def proto():
    model = parse(WEIGHTS)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in ARRAYS.items())
    value = helper.make_attribute("value", numpy_helper.from_array(np.arange(2000, dtype=np.float64), ""))
    model.graph.node.add(op_type="Constant", output=["k"]).attribute.append(value)
    return model


@pytest.fixture
def path(tmp_path):
    """A model whose larger tensors lie in two files, in a folder of its own."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    model = proto()
    convert_model_to_external_data(model, size_threshold=50, location="one.bin", convert_attribute=True)
    onnx.save(model, folder / "m.onnx")
    loaded = onnx.load(folder / "m.onnx", load_external_data=False)
    entry = next(tensor for tensor in loaded.graph.initializer if tensor.name == "b").external_data
    entry[0].value = "sub/two.bin"
    for item in entry:
        if item.key == "offset":
            item.value = "8"
    (folder / "sub" / "two.bin").write_bytes(bytes(8) + ARRAYS["b"].tobytes())
    (folder / "m.onnx").write_bytes(loaded.SerializeToString())
    return folder / "m.onnx"


def rewritten(path, change):
    """The model at `path`, its tensor `a` changed; saved in place."""
    model = onnx.load(path, load_external_data=False)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "a")
    change(tensor)
    path.write_bytes(model.SerializeToString())


def entry(tensor, key):
    return next(item for item in tensor.external_data if item.key == key)


class TestReading:
    def test_values(self, path):
        model = load(path)
        held = {constant.name: constant for constant in model.graph.initializers}
        for name, array in ARRAYS.items():
            assert np.array_equal(held[name].values, array)
        assert isinstance(held["a"].stored, Payload)
        assert held["a"].stored.outside
        assert_same(proto(), to_proto(model))

    def test_each_file_is_opened_once(self, path):
        held = {constant.name: constant.stored for constant in load(path).graph.initializers}
        assert held["a"].source is held["c"].source
        assert held["a"].source is not held["b"].source

    def test_offset_and_length_may_be_missing(self, path):
        (path.parent / "alone.bin").write_bytes(ARRAYS["a"].tobytes())

        def change(tensor):
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value="alone.bin")

        rewritten(path, change)
        (constant,) = (c for c in load(path).graph.initializers if c.name == "a")
        assert np.array_equal(constant.values, ARRAYS["a"])

    def test_data_of_functions_comes_in(self, path):
        model = onnx.load(path, load_external_data=False)
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "a")
        node = helper.make_node("Constant", [], ["y"])
        node.attribute.add(name="value", type=4).t.CopyFrom(tensor)
        model.functions.append(helper.make_function("f", "w", [], ["y"], [node], [helper.make_opsetid("", 21)]))
        path.write_bytes(model.SerializeToString())
        (function,) = load(path).functions
        value = function.node[0].attribute[0].t
        assert np.array_equal(numpy_helper.to_array(value), ARRAYS["a"])
        assert value.data_location == TensorProto.DEFAULT


def missing(tensor):
    entry(tensor, "location").value = "nowhere.bin"


def too_far(tensor):
    entry(tensor, "offset").value = "10000000"


def enormous(tensor):
    entry(tensor, "offset").value = str(2**63 - 1)


def absurd(tensor):
    entry(tensor, "offset").value = "9" * 100


def negative(tensor):
    entry(tensor, "offset").value = "-4"


def no_number(tensor):
    entry(tensor, "length").value = "many"


def wrong_length(tensor):
    entry(tensor, "length").value = "119999"


def larger_shape(tensor):
    tensor.dims[0] = 2**50


def no_location(tensor):
    del tensor.external_data[:]


def a_folder(tensor):
    entry(tensor, "location").value = "sub"


def odd_name(tensor):
    entry(tensor, "location").value = "a\0b"


class TestBroken:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (missing, r"the data file 'nowhere\.bin' is missing"),
            (too_far, r"'one\.bin' is too short: 120,000 bytes expected at 10,000,000, the file has [\d,]+ bytes"),
            (enormous, r"'one\.bin' is too short: 120,000 bytes expected at 9,223,372,036,854,775,807"),
            (absurd, "the offset '9+(\\.\\.\\.)?9+' of its external data is not a number of bytes"),
            (negative, "the offset '-4' of its external data is not a number"),
            (no_number, "the length 'many' of its external data is not a number"),
            (wrong_length, r"needs 120,000 bytes, it has 119,999 in 'one\.bin'"),
            (larger_shape, r"needs 450,359,962,737,049,600 bytes, it has 120,000 in 'one\.bin'"),
            (no_location, "'' is not the name of a data file"),
            (a_folder, "the data file 'sub' cannot be read|not a regular file"),
            (odd_name, r"'a\\x00b' is not the name of a data file"),
        ],
    )
    def test_refused(self, path, change, message):
        rewritten(path, change)
        with pytest.raises(ModelError, match=rf"m\.onnx: tensor 'a': .*({message})"):
            load(path)

    def test_a_short_file(self, path):
        os.truncate(path.parent / "one.bin", 100)
        with pytest.raises(ModelError, match=r"one\.bin' is too short"):
            load(path)

    def test_a_pipe_does_not_hang(self, path):
        os.mkfifo(path.parent / "pipe")
        rewritten(path, lambda tensor: setattr(entry(tensor, "location"), "value", "pipe"))
        with pytest.raises(ModelError, match="not a regular file"):
            load(path)


def overlapping(folder, step):
    """A model of three tensors of 40,000 bytes, each `step` bytes behind the one before it in the same file."""
    model = parse("g (float[10000] x) => (float[10000] y) { a = Add(x, u) b = Add(a, v) y = Add(b, w) }")
    for index, name in enumerate("uvw"):
        tensor = TensorProto(name=name, dims=[10_000], data_type=TensorProto.FLOAT)
        weights.locate(tensor, "all.bin", index * step, 40_000)
        model.graph.initializer.append(tensor)
    (folder / "all.bin").write_bytes(np.arange(10_000 + step // 2, dtype=np.float32).tobytes())
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


class TestOverlapping:
    @pytest.mark.parametrize("step", [0, 4, 20_000])
    def test_each_tensor_has_what_lies_there(self, tmp_path, step):
        save(load(overlapping(tmp_path, step)), tmp_path / "out.onnx")
        for at, tensor in enumerate(onnx.load(tmp_path / "out.onnx").graph.initializer):
            assert np.array_equal(numpy_helper.to_array(tensor), np.arange(10_000) + at * step / 4)
        assert (tmp_path / "out.onnx.data").stat().st_size < 41_000 * (3 if step else 1)

    def test_a_small_file_does_not_become_a_huge_one(self, tmp_path, monkeypatch):
        monkeypatch.setattr("graphopt.ir.external.SLACK", 1000)
        monkeypatch.setattr("graphopt.ir.external.OVERLAP", 2)
        assert load(overlapping(tmp_path, 20_000))
        assert load(overlapping(tmp_path, 0))
        with pytest.raises(UnsafeModelError, match=r"tensor 'w': its data overlap .* 2 times .* \(40,008 bytes\)"):
            load(overlapping(tmp_path, 4))


class TestOutside:
    @pytest.fixture(params=["dots", "absolute", "file link", "folder link"])
    def reaching_out(self, request, path):
        outside = path.parent.parent / "outside"
        outside.mkdir()
        (outside / "one.bin").write_bytes((path.parent / "one.bin").read_bytes())
        location = {
            "dots": "../outside/one.bin",
            "absolute": str(outside / "one.bin"),
            "file link": "link.bin",
            "folder link": "link/one.bin",
        }[request.param]
        (path.parent / "link.bin").symlink_to(outside / "one.bin")
        (path.parent / "link").symlink_to(outside)
        rewritten(path, lambda tensor: setattr(entry(tensor, "location"), "value", location))
        return path

    def test_refused(self, reaching_out):
        with pytest.raises(UnsafeModelError, match=r"tensor 'a': .* lies outside the model's folder"):
            load(reaching_out)

    def test_allowed_on_request(self, reaching_out):
        (constant,) = (c for c in load(reaching_out, allow_outside=True).graph.initializers if c.name == "a")
        assert np.array_equal(constant.values, ARRAYS["a"])

    def test_a_sibling_with_the_same_beginning_is_outside(self, path):
        (path.parent.parent / "in2").mkdir()
        (path.parent.parent / "in2" / "one.bin").write_bytes(b"")
        rewritten(path, lambda tensor: setattr(entry(tensor, "location"), "value", "../in2/one.bin"))
        with pytest.raises(UnsafeModelError):
            load(path)

    def test_a_cache_of_links_is_inside(self, path, tmp_path):
        """Model and data that are links into one folder of blobs, as model hubs lay them out."""
        links = tmp_path / "links"
        (links / "sub").mkdir(parents=True)
        for name in ("m.onnx", "one.bin", "sub/two.bin"):
            (links / name).symlink_to(path.parent / name)
        assert_same(proto(), to_proto(load(links / "m.onnx")))


class TestWriting:
    def test_it_stays_beside(self, path, tmp_path):
        out = tmp_path / "out.onnx"
        save(load(path), out)
        assert names(tmp_path) == ["in", "out.onnx", "out.onnx.data"]
        written = onnx.load(out, load_external_data=False)
        outside = [t for t in written.graph.initializer if t.data_location == TensorProto.EXTERNAL]
        assert [tensor.name for tensor in outside] == ["a", "b"]
        assert {entry(tensor, "location").value for tensor in outside} == {"out.onnx.data"}
        assert int(entry(outside[0], "offset").value) % 4096 == 0
        assert int(entry(outside[1], "offset").value) % 64 == 0
        assert_same(proto(), onnx.load(out))
        onnx.checker.check_model(os.fspath(out))

    def test_or_comes_in_on_request(self, path, tmp_path):
        save(load(path), tmp_path / "out.onnx", external_data=False)
        assert names(tmp_path) == ["in", "out.onnx"]
        assert_same(proto(), onnx.load(tmp_path / "out.onnx"))

    def test_above_the_limit_it_goes_out_by_itself(self, tmp_path, monkeypatch):
        monkeypatch.setattr(weights, "LIMIT", 100_000)
        save(load(proto()), tmp_path / "out.onnx")
        assert names(tmp_path) == ["out.onnx", "out.onnx.data"]
        monkeypatch.undo()
        assert_same(proto(), to_proto(load(tmp_path / "out.onnx")))

    def test_above_the_limit_one_message_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(weights, "LIMIT", 100_000)
        with pytest.raises(OutputError, match="2 GB"):
            to_proto(load(proto()))
        with pytest.raises(OutputError, match="2 GB"):
            save(load(proto()), tmp_path / "out.onnx", external_data=False)
        assert not names(tmp_path)

    def test_every_layout_can_go_out(self, tmp_path):
        model = parse(WEIGHTS)
        numbers = TensorProto(name="n", data_type=TensorProto.INT64, dims=[3000], int64_data=range(3000))
        floats = TensorProto(name="f", data_type=TensorProto.FLOAT, dims=[3000], float_data=range(3000))
        small = numpy_helper.from_array(np.arange(200.0), "s")
        model.graph.initializer.extend((numbers, floats, small))
        read = load(model.SerializeToString())
        read.graph.initializers[0].values = np.ones((500, 3), np.float32)
        save(read, tmp_path / "out.onnx", external_data=True)
        written = onnx.load(tmp_path / "out.onnx", load_external_data=False)
        outside = [t.name for t in written.graph.initializer if t.data_location == TensorProto.EXTERNAL]
        assert outside == ["w", "n", "f", "s"]
        back = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "out.onnx").graph.initializer}
        assert (back["n"] == np.arange(3000)).all()
        assert (back["f"] == np.arange(3000)).all()
        assert (back["s"] == np.arange(200.0)).all()
        assert (back["w"] == 1).all()

    def test_nothing_large_needs_no_file(self, tmp_path):
        save(load(parse(WEIGHTS)), tmp_path / "out.onnx", external_data=True)
        assert names(tmp_path) == ["out.onnx"]

    def test_over_the_files_it_was_read_from(self, tmp_path):
        path = tmp_path / "m.onnx"
        save(load(proto()), path, external_data=True)
        model = load(path)
        for _ in range(3):
            model.graph.initializers[0].values = model.graph.initializers[0].values + 1
            save(model, path)
            assert names(tmp_path) == ["m.onnx", "m.onnx.data"]
        back = load(path)
        assert (back.graph.initializers[0].values == model.graph.initializers[0].values).all()
        assert np.array_equal(back.graph.initializers[2].values, ARRAYS["a"])


class TestReferences:
    def test_to_data_files(self, path):
        out = path.parent / "out.onnx"
        model = load(path)
        model.graph.initializers[-1].values = np.ones(3, np.int8)
        save(model, out, reference_weights=True)
        assert not (path.parent / "out.onnx.data").exists()
        written = onnx.load(out, load_external_data=False)
        locations = {t.name: entry(t, "location").value for t in written.graph.initializer if t.external_data}
        assert locations == {"a": "one.bin", "b": "sub/two.bin"}
        expected = proto()
        expected.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.ones(3, np.int8), "c"))
        assert_same(expected, onnx.load(out))

    def test_to_the_model_itself(self, tmp_path):
        onnx.save(proto(), tmp_path / "m.onnx")
        save(load(tmp_path / "m.onnx"), tmp_path / "out.onnx", reference_weights=True)
        assert (tmp_path / "out.onnx").stat().st_size < 4000
        assert_same(proto(), onnx.load(tmp_path / "out.onnx"))

    def test_new_weights_do_not_overwrite_old_ones(self, tmp_path):
        save(load(proto()), tmp_path / "m.onnx", external_data=True)
        model = load(tmp_path / "m.onnx")
        model.graph.initializers[2].values = ARRAYS["a"] + 1
        save(model, tmp_path / "m.onnx", reference_weights=True)
        assert names(tmp_path) == ["m.onnx", "m.onnx.1.data", "m.onnx.data"]
        back = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "m.onnx").graph.initializer}
        assert (back["a"] == ARRAYS["a"] + 1).all()
        assert (back["b"] == ARRAYS["b"]).all()

    def test_never_to_another_folder(self, path, tmp_path):
        (tmp_path / "out").mkdir()
        with pytest.raises(OutputError, match=r"cannot refer to weights in .*one\.bin, outside that folder"):
            save(load(path), tmp_path / "out" / "out.onnx", reference_weights=True)
        assert not names(tmp_path / "out")

    def test_never_to_what_is_overwritten(self, tmp_path):
        path = tmp_path / "m.onnx"
        onnx.save(proto(), path)
        before = path.read_bytes()
        with pytest.raises(OutputError, match="is being replaced"):
            save(load(path), path, reference_weights=True)
        assert path.read_bytes() == before

    def test_never_to_what_was_replaced(self, path):
        model = load(path)
        (path.parent / "one.bin").rename(path.parent / "moved.bin")
        with pytest.raises(OutputError, match="is being replaced"):
            save(model, path.parent / "out.onnx", reference_weights=True)
