"""Data out of folders: pieces, single samples, arrays beside each other, and pictures with their labels."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from graphopt.data.opening import open_data
from graphopt.errors import UsageError
from tests.data.models import PICTURES, ROWS, rows, saved, taking, together


def picture(path, level: int, size=(8, 8), mode="RGB"):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode in ("L", "I;16") else (level, level, level)).save(path)


@pytest.fixture
def shots(tmp_path):
    """A picture of level 10 i in each of three folders, and the folder of a class twice."""
    for level, name in enumerate(["bird/a.png", "cat/b.jpg", "cat/c.bmp", "dog/d.png"]):
        picture(tmp_path / name, 10 * level)
    return tmp_path


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_pieces_follow_each_other_in_order_of_their_names(tmp_path):
    saved(tmp_path / "2.npz", x=rows(5)[3:], label=np.array([3, 4]))
    saved(tmp_path / "1.npz", x=rows(5)[:3], label=np.array([0, 1, 2]))
    (tmp_path / ".hidden.npz").write_bytes(b"")
    data = open_data(tmp_path, ROWS)
    feeds, labels = together(data, 2)
    assert (data.count, [batch.count for batch in data.batches(2)]) == (5, [2, 2, 1])
    np.testing.assert_array_equal(feeds, rows(5))
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_files_without_an_axis_for_samples_are_one_sample_each(tmp_path):
    for i, row in enumerate(rows(5)):
        saved(tmp_path / f"{i}.npz", x=row, label=np.array(i))
    feeds, labels = together(open_data(tmp_path, ROWS), 2)
    np.testing.assert_array_equal(feeds, rows(5))
    assert labels.tolist() == [0, 1, 2, 3, 4]


def test_npy_files_are_samples_of_the_only_input(tmp_path):
    for i, row in enumerate(rows(4)):
        np.save(tmp_path / f"sample{i}.npy", row)
    (tmp_path / "labels.csv").write_text("sample1.npy,7\nsample0.npy,5\nsample3.npy,9\nsample2.npy,8\n")
    feeds, labels = together(open_data(tmp_path, ROWS, labels=tmp_path / "labels.csv"))
    np.testing.assert_array_equal(feeds, rows(4))
    assert labels.tolist() == [5, 7, 8, 9]


def test_npy_files_called_after_inputs_lie_side_by_side(tmp_path):
    np.save(tmp_path / "a.npy", rows(4))
    np.save(tmp_path / "b.npy", -rows(4))
    np.save(tmp_path / "label.npy", np.arange(4))
    np.save(tmp_path / "unrelated.npy", np.zeros(99))
    model = taking(("a", ("n", 4)), ("b", ("n", 4)))
    batches = list(open_data(tmp_path, model).batches(3))
    np.testing.assert_array_equal(np.concatenate([batch.feeds["b"] for batch in batches]), -rows(4))
    assert [batch.labels.tolist() for batch in batches] == [[0, 1, 2], [3]]


def test_samples_of_different_lengths_come_in_batches_of_one_length(tmp_path):
    for i, length in enumerate([2, 2, 3, 3, 3, 2]):
        np.save(tmp_path / f"{i}.npy", np.full(length, i, np.float32))
    batches = list(open_data(tmp_path, taking(("x", ("n", "length")))).batches(2))
    assert [batch.feeds["x"].shape for batch in batches] == [(2, 2), (2, 3), (1, 3), (1, 2)]


def test_one_npy_file_is_data_of_a_model_with_one_input(tmp_path):
    np.save(tmp_path / "anything.npy", rows(4))
    feeds, _ = together(open_data(tmp_path / "anything.npy", ROWS), 3)
    np.testing.assert_array_equal(feeds, rows(4))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "holds neither pictures nor .npz, .npy or .safetensors files"),
        ({"a.npz": {"x": rows(1)}, "b.npz": {"z": rows(1)}}, "b.npz has the arrays 'z', but .*a.npz has 'x'"),
        (
            {"a.npz": {"x": rows(1)}, "b.npz": {"x": rows(1).astype(int)}},
            "array 'x' is int64 .* but float32 .* in .*a.npz",
        ),
        ({"a.npz": {"x": rows(1)}, "b.npz": {"x": rows(1, 5)}}, r"samples of the shape \[5\]"),
    ],
)
def test_files_that_do_not_fit_each_other(tmp_path, files, said):
    for name, arrays in files.items():
        saved(tmp_path / name, **arrays)
    with pytest.raises(UsageError, match=said):
        together(open_data(tmp_path, ROWS))


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_folders_name_classes_in_alphabetical_order(shots):
    data = open_data(shots, PICTURES, preprocess="raw")
    feeds, labels = together(data, 3)
    assert data.count == 4
    np.testing.assert_array_equal(feeds[:, 0, 0, 0], [0, 10, 20, 30])
    assert labels.tolist() == [0, 1, 1, 2]
    assert np.concatenate(list(data.labels())).tolist() == [0, 1, 1, 2]


def test_classes_come_from_a_list_if_some_of_them_have_no_pictures(shots, tmp_path_factory):
    model = taking(("image", ("n", 3, 8, 8)), gives=("n", 5))
    with pytest.raises(UsageError, match=r"names 3 class.*knows 5: which is which cannot be told.*--classes"):
        open_data(shots, model, preprocess="raw")
    names = tmp_path_factory.mktemp("names") / "classes.txt"
    names.write_text("ant\nbird\ncat\ncow\ndog\n")
    _, labels = together(open_data(shots, model, preprocess="raw", classes=names))
    assert labels.tolist() == [1, 2, 2, 4]
    names.write_text("ant\nbird\ncat\ncow\nduck\n")
    with pytest.raises(UsageError, match="1 label that the list of classes lacks: dog"):
        open_data(shots, model, preprocess="raw", classes=names)


def test_folders_called_by_numbers_mean_them(tmp_path):
    picture(tmp_path / "7" / "a.png", 1)
    picture(tmp_path / "12" / "a.png", 2)
    _, labels = together(open_data(tmp_path, taking(("i", ("n", 3, 8, 8)), gives=("n", 99)), preprocess="raw"))
    assert sorted(labels.tolist()) == [7, 12]


@pytest.mark.parametrize("head", ["", "File,Label\n", "label,file\n"])
def test_a_table_names_files_and_labels(tmp_path, head):
    for i in range(3):
        picture(tmp_path / "shots" / f"{i}.png", i)
    lines = ["1.png,4", "0.png,3", "2.png,5"]
    if head.startswith("label"):
        lines = [",".join(reversed(line.split(","))) for line in lines]
    (tmp_path / "l.csv").write_text(head + "\n".join(lines) + "\n")
    data = open_data(tmp_path / "shots", PICTURES, preprocess="raw", labels=tmp_path / "l.csv")
    assert together(data)[1].tolist() == [3, 4, 5]


def test_pictures_without_folders_have_no_labels(tmp_path):
    picture(tmp_path / "a.png", 1)
    assert not open_data(tmp_path, PICTURES, preprocess="raw").labelled


def test_pictures_of_other_sizes_and_kinds_are_brought_into_shape(tmp_path):
    picture(tmp_path / "a.png", 50, (40, 20))
    picture(tmp_path / "b.png", 60, (3, 9), "L")
    feeds, _ = together(open_data(tmp_path, PICTURES, preprocess="raw"))
    np.testing.assert_array_equal(feeds[:, :, 3, 3], [[50] * 3, [60] * 3])
    grey, _ = together(open_data(tmp_path, taking(("i", ("n", 4, 4, 1))), preprocess="raw"))
    np.testing.assert_array_equal(grey[:, 0, 0, 0], [50, 60])


def test_a_model_of_any_size_gets_pictures_as_they_are_alike_ones_together(tmp_path):
    for i, size in enumerate([(4, 6), (4, 6), (5, 5)]):
        picture(tmp_path / f"{i}.png", i, size)
    data = open_data(tmp_path, taking(("i", ("n", 3, "h", "w"))), preprocess="unit")
    assert [batch.feeds["i"].shape for batch in data.batches(8)] == [(2, 3, 6, 4), (1, 3, 5, 5)]
    fixed = open_data(tmp_path, taking(("i", ("n", 3, "h", "w"))), preprocess="unit:size=7+3")
    assert [batch.feeds["i"].shape for batch in fixed.batches(8)] == [(3, 3, 7, 3)]


def test_bad_pictures_are_found_before_anything_is_decoded(shots):
    (shots / "cat" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"bad.png cannot be read as a picture"):
        open_data(shots, PICTURES, preprocess="raw")
    (shots / "cat" / "bad.png").unlink()
    picture(shots / "cat" / "deep.png", 300, mode="I;16")
    with pytest.raises(UsageError, match=r"deep.png has pixels of the kind I;16, expected eight bits"):
        open_data(shots, PICTURES, preprocess="raw")


def test_what_only_calls_itself_a_picture_is_not_run(shots):
    (shots / "cat" / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(UsageError, match=r"script.png cannot be read as a picture"):
        open_data(shots, PICTURES, preprocess="raw")


def test_a_cut_picture_is_named(shots):
    from PIL import Image

    path = shots / "bird" / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UsageError, match=r"a.png cannot be decoded"):
        open_data(shots, PICTURES, preprocess="raw")


def test_a_picture_that_claims_to_be_enormous_is_refused(shots):
    head = b"P6 60000 60000 255\n"
    (shots / "cat" / "bomb.ppm").write_bytes(head + bytes(100))
    with pytest.raises(UsageError, match=r"bomb.ppm claims to be too large"):
        open_data(shots, PICTURES, preprocess="raw")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "holds pictures: say what their numbers mean to m.onnx: --preprocess raw"),
        (
            {"preprocess": "raw", "labels": "l.csv"},
            "l.csv has no label for 3 samples: bird/a.png, cat/b.jpg, cat/c.bmp",
        ),
    ],
)
def test_what_is_not_said_about_pictures(shots, monkeypatch, options, said):
    monkeypatch.chdir(shots)
    (shots / "l.csv").write_text("dog/d.png,3\n")
    with pytest.raises(UsageError, match=said):
        open_data(shots, PICTURES, **options)


def test_loose_pictures_beside_folders_of_classes_are_refused(shots):
    picture(shots / "loose.png", 1)
    with pytest.raises(UsageError, match=r"pictures in folders of classes, and 1 one beside them: loose.png"):
        open_data(shots, PICTURES, preprocess="raw")


def test_pictures_and_arrays_do_not_mix(shots):
    saved(shots / "d.npz", x=rows(1))
    with pytest.raises(UsageError, match="holds both pictures and files of arrays"):
        open_data(shots, PICTURES, preprocess="raw")


def test_without_pillow_it_says_what_to_install(shots, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'graphopt\[pictures\]'"):
        open_data(shots, PICTURES, preprocess="raw")


def test_the_fingerprint_follows_the_pictures(shots):
    before = open_data(shots, PICTURES, preprocess="raw").fingerprint()
    assert before == open_data(shots, PICTURES, preprocess="raw").fingerprint()
    picture(shots / "dog" / "d.png", 31)
    assert before != open_data(shots, PICTURES, preprocess="raw").fingerprint()


# --- labels in files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [("l.csv", "2\n0\n1\n"), ("l.txt", "label\n2\n0\n1\n"), ("l.tsv", "a\t2\nb\t0\nc\t1\n"), ("l.csv", "c\na\nb\n")],
)
def test_labels_in_order_of_the_samples(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    data = open_data(saved(tmp_path / "d.npz", x=rows(3)), ROWS, labels=tmp_path / name)
    assert together(data)[1].tolist() == [2, 0, 1]


def test_labels_in_arrays_of_another_file_come_first(tmp_path):
    path = saved(tmp_path / "d.npz", x=rows(3), label=np.zeros(3, int))
    np.save(tmp_path / "l.npy", np.array([2, 0, 1]))
    assert together(open_data(path, ROWS, labels=tmp_path / "l.npy"))[1].tolist() == [2, 0, 1]
    saved(tmp_path / "l.npz", label=np.array([1, 1, 2]), other=np.zeros(5))
    assert together(open_data(path, ROWS, labels=tmp_path / "l.npz"))[1].tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1\n2\n", "different numbers of samples: 'x' 3, 'label' 2"),
        ("", "holds no rows"),
        ("a,1\nb\nc,2\n", r"row 2 has 1 columns, expected 2"),
        ("label,target\n1,2\n1,2\n1,2\n", "has the columns label, target; one must be called"),
        (b"\xff\xfe1\n", "cannot be read as a table"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, content, said):
    (tmp_path / "l.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match=said):
        open_data(saved(tmp_path / "d.npz", x=rows(3)), ROWS, labels=tmp_path / "l.csv")
