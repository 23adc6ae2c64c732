"""Data out of functions of the user's: samples or batches, with labels or without, and what they get wrong."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from graphopt.data.opening import open_data
from graphopt.errors import UsageError
from tests.data.models import ROWS, rows, saved, taking, together

TWO = taking(("a", ("n", 4)), ("b", ("n", 2)))

SOURCE = """
import numpy as np

ROWS = np.arange(40, dtype=np.float32).reshape(10, 4)
calls = []

def samples():
    calls.append(1)
    for i, row in enumerate(ROWS):
        yield {"x": row}, i

def batches():
    yield {"x": ROWS[:7]}, np.arange(7)
    yield {"x": ROWS[7:]}, np.arange(7, 10)

def bare():
    yield from ROWS

def listed():
    return [ROWS[:5], ROWS[5:]]

def pairs():
    for row in ROWS:
        yield {"a": row, "b": row[:2]}

def lengths():
    for length in (2, 2, 3):
        yield np.zeros((1, length), np.float32)

def empty():
    return []

def late():
    yield ROWS[0]
    raise KeyError("lost")

def nothing():
    return 3

def wide():
    yield ROWS[0]
    yield np.zeros(5, np.float32)

def other():
    yield {"x": ROWS[0]}
    yield {"z": ROWS[0]}

def doubles():
    yield ROWS[0]
    yield ROWS[0].astype(float)

def nan():
    yield ROWS[0]
    yield ROWS[0] * np.nan

def uneven():
    yield {"a": ROWS[:2], "b": ROWS[:3, :2]}

def unnamed():
    yield ROWS[0]

constant = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "own_data.py").write_text(SOURCE)
    (tmp_path / "own_broken.py").write_text("import no_such_thing\n")
    (tmp_path / "own_faulty.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("own_data", "own_broken", "own_faulty"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["samples", "batches"])
def test_samples_and_batches_with_labels(name):
    data = open_data(f"own_data:{name}", ROWS)
    feeds, labels = together(data, 4)
    assert (data.count, data.labelled) == (None, True)
    assert [batch.count for batch in data.batches(4)] == [4, 4, 2]
    np.testing.assert_array_equal(feeds, rows(10))
    np.testing.assert_array_equal(labels, np.arange(10))


@pytest.mark.parametrize("name", ["bare", "listed"])
def test_arrays_alone_are_the_only_input(name):
    data = open_data(f"own_data:{name}", ROWS)
    assert not data.labelled
    np.testing.assert_array_equal(together(data, 3)[0], rows(10))


def test_a_limit_takes_no_more_than_it_needs():
    assert [batch.count for batch in open_data("own_data:late", ROWS).batches(1, limit=1)] == [1]


def test_inputs_by_name():
    batches = list(open_data("own_data:pairs", TWO).batches(8))
    assert [(batch.feeds["a"].shape, batch.feeds["b"].shape) for batch in batches] == [
        ((8, 4), (8, 2)),
        ((2, 4), (2, 2)),
    ]


def test_free_dimensions_may_change_between_items():
    batches = list(open_data("own_data:lengths", taking(("x", ("n", "k")))).batches(8))
    assert [batch.feeds["x"].shape for batch in batches] == [(2, 2), (1, 3)]


def test_labels_may_come_from_a_file(tmp_path):
    (tmp_path / "l.txt").write_text("\n".join(map(str, range(10))))
    feeds, labels = together(open_data("own_data:bare", ROWS, labels=tmp_path / "l.txt"), 4)
    assert (len(feeds), labels.tolist()) == (10, list(range(10)))
    (tmp_path / "l.txt").write_text("1\n2\n3\n")
    with pytest.raises(UsageError, match="has more samples than there are labels: 3"):
        together(open_data("own_data:bare", ROWS, labels=tmp_path / "l.txt"), 4)


def test_the_fingerprint_follows_what_it_gives():
    marks = [open_data(f"own_data:{name}", ROWS).fingerprint() for name in ("bare", "samples", "bare")]
    assert marks[0] == marks[2] != marks[1]


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "d.npz", x=rows(1))
    assert open_data("d.npz", ROWS).count == 1


@pytest.mark.parametrize(
    ("text", "model", "said"),
    [
        ("own_missing:f", ROWS, "own_missing:f: there is no module 'own_missing'"),
        ("own_data:missing", ROWS, "module 'own_data' has no attribute 'missing'"),
        ("own_broken:f", ROWS, "cannot be imported: ModuleNotFoundError: No module named 'no_such_thing'.*line 1"),
        ("own_faulty:f", ROWS, "cannot be imported: ZeroDivisionError: division by zero .*own_faulty.py, line 1"),
        ("own_data:constant", ROWS, "own_data:constant is int, not a function"),
        ("own_data:nothing", ROWS, "own_data:nothing gave int, expected something to iterate over"),
        ("own_data:empty", ROWS, "own_data:empty gave no samples"),
        ("own_data:unnamed", TWO, "item 0 is ndarray; m.onnx has the inputs 'a', 'b', so an item must be a dict"),
        ("own_data:uneven", TWO, r"different numbers of samples: 'a' \[2, 4\], 'b' \[3, 2\]"),
        ("own_data:pairs", ROWS, r"no array for input 'x' \[n, 4\] of m.onnx; it has 'a'"),
    ],
)
def test_what_is_known_at_once(text, model, said):
    with pytest.raises(UsageError, match=said):
        open_data(text, model)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("late", "own_data:late failed: KeyError: 'lost' .*own_data.py, line"),
        ("wide", r"samples of the shape \[5\], input 'x' \[n, 4\] takes samples of the shape \[4\]"),
        ("other", "own_data:other: an item has no 'x', though the first one has it"),
        ("doubles", "array 'x' is float64, input 'x' .* takes float32"),
        ("nan", "sample 1 of 'x' holds NaN"),
    ],
)
def test_what_is_only_seen_when_it_comes(name, said):
    data = open_data(f"own_data:{name}", ROWS)
    with pytest.raises(UsageError, match=said):
        list(data.batches(1))
