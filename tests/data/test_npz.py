"""Data out of .npz and .safetensors files: matched with inputs, cut into batches, refused where it does not fit."""

from __future__ import annotations

import json
import zipfile

import ml_dtypes
import numpy as np
import pytest

from graphopt.data.opening import open_data
from graphopt.data.source import Data
from graphopt.errors import UsageError
from tests.data.models import FLOAT, INT, PICTURES, ROWS, rows, saved, taking, together


def safetensors(path, **arrays):
    """Written by hand, from the format's description."""
    head, at = {"__metadata__": {"made": "by hand"}}, 0
    names = {"float32": "F32", "int64": "I64", "bfloat16": "BF16", "uint8": "U8"}
    for name, array in arrays.items():
        place = [at, at + array.nbytes]
        head[name] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values()))
    return path


WRITERS = {"npz": saved, "safetensors": safetensors}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """Writes arrays into a file of either format."""
    return lambda **arrays: WRITERS[request.param](tmp_path / f"data.{request.param}", **arrays)


# --- what is fed ------------------------------------------------------------------------------------------------------


def test_samples_and_labels_come_in_order(write):
    data = open_data(write(x=rows(10), label=np.arange(10)), ROWS)
    feeds, labels = together(data, 3)
    assert isinstance(data, Data)
    assert (data.count, data.labelled) == (10, True)
    np.testing.assert_array_equal(feeds, rows(10))
    np.testing.assert_array_equal(labels, np.arange(10))


def test_batches_have_the_size_that_is_asked_for(write):
    data = open_data(write(x=rows(10)), ROWS)
    assert [batch.count for batch in data.batches(4)] == [4, 4, 2]
    assert [batch.feeds["x"].shape for batch in data.batches(4)] == [(4, 4), (4, 4), (2, 4)]
    assert [batch.count for batch in data.batches()] == [10]


def test_a_limit_ends_early(write):
    data = open_data(write(x=rows(10)), ROWS)
    assert [batch.count for batch in data.batches(4, limit=6)] == [4, 2]
    assert [batch.count for batch in data.batches(4, limit=4)] == [4]
    assert [batch.count for batch in data.batches(4, limit=40)] == [4, 4, 2]


def test_batches_begin_anew_at_each_call(write):
    data = open_data(write(x=rows(10)), ROWS)
    next(data.batches(3))
    np.testing.assert_array_equal(next(data.batches(3)).feeds["x"], rows(3))


def test_a_model_of_fixed_batch_is_fed_that_many_and_the_padding_is_dropped(write):
    model = taking(("x", (4, 4)))
    *_, last = open_data(write(x=rows(10), label=np.arange(10)), model).batches()
    assert (last.feeds["x"].shape, last.count, last.labels.tolist()) == ((4, 4), 2, [8, 9])
    np.testing.assert_array_equal(last.feeds["x"], rows(10)[[8, 9, 9, 9]])
    np.testing.assert_array_equal(last.outputs({"y": last.feeds["x"] + 1})["y"], rows(10)[8:] + 1)
    with pytest.raises(UsageError, match="exported for 4 samples at a time, and cannot be fed 3"):
        next(open_data(write(x=rows(10)), model).batches(3))


def test_the_only_array_needs_no_name(write):
    feeds, labels = together(open_data(write(pixels=rows(3), y=np.arange(3)), ROWS))
    np.testing.assert_array_equal(feeds, rows(3))
    assert labels.tolist() == [0, 1, 2]


def test_an_input_called_y_takes_no_labels(write):
    data = open_data(write(y=rows(3)), taking(("y", ("n", 4))))
    assert not data.labelled


def test_names_can_be_mapped_and_labels_moved(write):
    model = taking(("a", ("n", 4)), ("b", ("n", 4)))
    path = write(one=rows(3), two=-rows(3), kind=np.arange(3))
    data = open_data(path, model, inputs={"a": "two", "b": "one"}, label="kind", label_offset=1)
    (batch,) = data.batches()
    np.testing.assert_array_equal(batch.feeds["a"], -rows(3))
    np.testing.assert_array_equal(batch.labels, [1, 2, 3])


def test_labels_alone_cost_no_inputs(write):
    data = open_data(write(x=rows(5), label=np.arange(5)), ROWS, label_offset=2)
    assert np.concatenate(list(data.labels())).tolist() == [2, 3, 4, 5, 6]


def test_numbers_that_lose_nothing_are_widened(write):
    model = taking(("x", ("n", 4), np.float64), ("i", ("n",), np.int64))
    arrays = {"x": rows(2), "i": np.array([1, 2], np.uint8)}
    (batch,) = open_data(write(**arrays), model).batches()
    assert (batch.feeds["x"].dtype, batch.feeds["i"].dtype) == (np.float64, INT)


def test_bfloat16_keeps_its_bits(write):
    model = taking(("x", ("n", 4), ml_dtypes.bfloat16))
    feeds, _ = together(open_data(write(x=rows(3).astype(ml_dtypes.bfloat16)), model))
    assert feeds.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(feeds.astype(FLOAT), rows(3))


def test_arrays_stored_by_columns_are_read_by_samples(tmp_path):
    path = saved(tmp_path / "d.npz", x=np.asfortranarray(rows(7)))
    feeds, _ = together(open_data(path, ROWS), 3)
    np.testing.assert_array_equal(feeds, rows(7))


def test_inputs_with_a_default_are_fed_if_there_is_data(write):
    model = taking(("x", ("n", 4)), ("scale", ("n", 1)), optional=frozenset({"scale"}))
    (without,) = open_data(write(x=rows(2)), model).batches()
    (given,) = open_data(write(x=rows(2), scale=rows(2, 1)), model).batches()
    assert (list(without.feeds), list(given.feeds)) == (["x"], ["x", "scale"])


# --- complete sets of inputs ------------------------------------------------------------------------------------------

STATEFUL = taking(("input", ("batch", "length")), ("state", (2, "batch", 4)), ("rate", (), np.int64))


def test_a_model_without_an_axis_for_samples_is_fed_whole_sets(write):
    arrays = {"input": rows(6).reshape(3, 2, 4), "state": np.zeros((3, 2, 2, 4), FLOAT), "rate": np.arange(3)}
    batches = list(open_data(write(**arrays), STATEFUL).batches())
    assert [batch.count for batch in batches] == [1, 1, 1]
    assert [batch.feeds["rate"].shape for batch in batches] == [()] * 3
    np.testing.assert_array_equal(batches[1].feeds["input"], arrays["input"][1])
    assert batches[0].outputs({"y": np.zeros((2, 5))})["y"].shape == (1, 2, 5)


def test_one_set_of_inputs_is_one_sample(write):
    arrays = {"input": rows(2), "state": np.zeros((2, 2, 4), FLOAT), "rate": np.array(16000)}
    (batch,) = open_data(write(**arrays), STATEFUL).batches()
    assert (batch.count, batch.feeds["input"].shape, batch.feeds["rate"].item()) == (1, (2, 4), 16000)


def test_arrays_with_one_axis_more_are_whole_sets_too(write):
    (one, _) = open_data(write(x=rows(6).reshape(2, 3, 4)), ROWS).batches()
    assert (one.feeds["x"].shape, one.count) == ((3, 4), 1)


# --- what is refused before anything runs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "arrays", "said"),
    [
        (ROWS, {"a": rows(2), "b": rows(2)}, r"no array for input 'x' \[n, 4\] of m.onnx; it has 'a' float32 \[2, 4\]"),
        (ROWS, {"x": rows(2, 5)}, r"samples of the shape \[5\], input 'x' \[n, 4\] takes samples of the shape \[4\]"),
        (ROWS, {"x": rows(2).reshape(2, 2, 2, 1)}, r"samples of the shape \[2, 2, 1\]"),
        (ROWS, {"x": rows(2).astype(np.int64)}, r"array 'x' is int64, input 'x' \[n, 4\] takes float32; save it so"),
        (ROWS, {"x": rows(0)}, "holds no samples"),
        (ROWS, {"x": rows(3), "label": np.arange(2)}, "different numbers of samples: 'x' 3, 'label' 2"),
        (ROWS, {"x": rows(3), "label": np.arange(3), "y": np.arange(3)}, "'label', 'y': say which holds the labels"),
        (taking(("x", ("n", 4), np.int64)), {"x": rows(2)}, "is float32, input 'x' .* takes int64"),
        (taking(("x", ("n", "k")), ("z", ("n", "k"))), {"x": rows(2, 3), "z": rows(2, 4)},
         "dimension 'k' of the model is 3 in input 'x' and 4 in input 'z'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_what_is_expected(write, model, arrays, said):
    with pytest.raises(UsageError, match=said):
        open_data(write(**arrays), model)


def test_nan_is_refused_wherever_it_is_unless_it_is_wanted(write):
    x = rows(100)
    x[97, 2] = np.nan
    with pytest.raises(UsageError, match=r"sample 97 of 'x' holds NaN; .*--nan keep"):
        open_data(write(x=x), ROWS)
    feeds, _ = together(open_data(write(x=x), ROWS, nan="keep"))
    assert np.isnan(feeds).sum() == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"label": "kind"}, "no array 'kind' of labels; it has 'x' float32"),
        ({"inputs": {"z": "x"}}, "m.onnx has no input 'z'; it has 'x'"),
        ({"inputs": {"x": "z"}}, "no array 'z'; it has 'x'"),
        ({"labels": "none.csv"}, "none.csv: there is no such file"),
        ({"label": "a", "labels": "b"}, "not in both"),
    ],
)
def test_options_that_do_not_fit(write, options, said):
    with pytest.raises(UsageError, match=said):
        open_data(write(x=rows(2)), ROWS, **options)


# --- files that are broken, or mean harm ------------------------------------------------------------------------------


def test_files_that_are_none(tmp_path):
    for name in ("a.npz", "a.npy", "a.safetensors"):
        path = tmp_path / name
        path.write_bytes(b"")
        with pytest.raises(UsageError, match=f"{name} cannot be read as a"):
            open_data(path, ROWS)
        path.write_bytes(b"\xff" * 1000)
        with pytest.raises(UsageError, match=f"{name} cannot be read as a"):
            open_data(path, ROWS)
    with pytest.raises(UsageError, match=r"missing.npz: there is no such file or folder, and it is no module:function"):
        open_data(tmp_path / "missing.npz", ROWS)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"data is read from .npz, .npy, .safetensors, .txt files, folders"):
        open_data(tmp_path / "a.parquet", ROWS)


def test_cut_files_are_found_before_anything_runs(write):
    path = write(x=rows(1000))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match="cannot be read as a"):
        open_data(path, ROWS)


def test_a_byte_that_flipped_is_found(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=rows(1000))
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UsageError, match="CRC"):
        open_data(path, ROWS)


def test_python_objects_are_not_read(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=np.array([{"a": 1}, None]))
    with pytest.raises(UsageError, match="'x' in it is no array: it holds Python objects"):
        open_data(path, ROWS)


def test_a_header_that_claims_too_much_takes_no_memory(tmp_path):
    path = tmp_path / "d.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4), }"
    body = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(path, "w") as held:
        held.writestr("x.npy", body)
    with pytest.raises(UsageError, match=r"takes 16,000,000,000,0\d\d bytes, found 8\d: it is cut off"):
        open_data(path, ROWS)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"x": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 16]}}, r"'x' of the shape \[2, 4\] has 16 bytes"),
        ({"x": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}}, "ends behind the end of the file"),
        ({"x": {"dtype": "F32", "shape": [-2, -4], "data_offsets": [0, 32]}}, "shape and place of 'x'"),
        ({"x": {"dtype": "Q4", "shape": [2], "data_offsets": [0, 1]}}, "is 'Q4', of which nothing is known"),
        ({"x": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
          "z": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}, "'x' and 'z' overlap"),
        ({"x": 1}, "cannot be read as a .safetensors file"),
        ([], "cannot be read as a .safetensors file"),
        ({}, "holds no arrays"),
    ],
)  # fmt: skip
def test_safetensors_that_contradict_themselves(tmp_path, head, said):
    text = json.dumps(head).encode()
    path = tmp_path / "d.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    with pytest.raises(UsageError, match=said):
        open_data(path, ROWS)


# --- caches -----------------------------------------------------------------------------------------------------------


def test_the_fingerprint_follows_content_and_meaning(tmp_path):
    pixels = {"image": np.zeros((2, 8, 8, 3), np.uint8)}
    path, twin = saved(tmp_path / "a.npz", **pixels), saved(tmp_path / "b.npz", **pixels)
    marks = {
        open_data(path, PICTURES, preprocess="unit").fingerprint(),
        open_data(path, PICTURES, preprocess="signed").fingerprint(),
        open_data(path, PICTURES, preprocess="unit:order=bgr").fingerprint(),
        open_data(saved(tmp_path / "c.npz", image=pixels["image"] + 1), PICTURES, preprocess="unit").fingerprint(),
    }
    assert len(marks) == 4
    assert open_data(twin, PICTURES, preprocess="unit").fingerprint() in marks
