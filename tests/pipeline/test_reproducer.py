"""The folder of reproducers holds those of the last compile, and never loses what somebody else put there."""

from __future__ import annotations

import os

import numpy as np
import pytest

import graphopt
from graphopt import Exact, Value, op, rule
from graphopt.ir.walk import captures
from graphopt.pipeline.reproducer import prepare
from tests.support import proto

x = Value("x")


@rule(op.Sigmoid(x), numerics=Exact())
def wrong(m, new):
    """Sigmoid(x) is Tanh(x), says a rule that is wrong."""
    return new.Tanh(m[x])


MODEL = "agraph (float[4] x) => (float[4] y, float[4] z) { y = Sigmoid(x) a = Relu(x) z = Sigmoid(a) }"
ONE = "agraph (float[4] x) => (float[4] y) { y = Sigmoid(x) }"
FILES = ["README.md", "after.onnx", "before.onnx", "feeds-0.npz", "feeds-1.npz", "rule.json"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    """The reproducers of a compile."""
    graphopt.optimize(proto(ONE), passes=[wrong], reproducers=tmp_path / "faults")
    return tmp_path / "faults"


def test_a_reproducer_is_a_folder_of_its_own(folder):
    assert names(folder) == ["wrong-1"]
    assert names(folder / "wrong-1") == FILES


@rule(op.If(x), numerics=Exact())
def taken(m, new):
    """If computes the sigmoid of what its branches read, says another."""
    return new.Sigmoid(next(captures(m.root)))


@pytest.mark.parametrize("name", ["file", "allow_pickle", "x"])
def test_inputs_may_have_any_name(name, tmp_path):
    branches = f"""then_branch = t () => (float[4] u) {{ u = Relu({name}) }},
        else_branch = e () => (float[4] v) {{ v = Neg({name}) }}"""
    text = f"g (bool c, float[4] {name}) => (float[4] y) {{ y = If(c) <{branches}> }}"
    report = graphopt.optimize(proto(text), passes=[taken], reproducers=tmp_path).report
    assert len(report.rolled_back) == 1
    with np.load(tmp_path / "taken-1" / "feeds-0.npz") as feeds:
        assert name in feeds.files
        assert feeds[name].shape == (4,)


def test_those_of_an_earlier_compile_are_replaced(folder):
    before = (folder / "wrong-1").stat().st_ino
    graphopt.optimize(proto(ONE), passes=[wrong], reproducers=folder)
    assert names(folder) == ["wrong-1"]
    assert (folder / "wrong-1").stat().st_ino != before or names(folder / "wrong-1") == FILES


def test_a_clean_compile_leaves_none(folder):
    graphopt.optimize(proto("agraph (float[4] x) => (float[4] y) { y = Relu(x) }"), passes=[wrong], reproducers=folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: (path / "notes.txt").write_text("mine"),
        lambda path: (path / "rule.json").write_text("[]"),
        lambda path: (path / "rule.json").write_text("{"),
        lambda path: (path / "rule.json").unlink(),
        lambda path: (path / "feeds-0.npz").rename(path / "feeds-mine.npz"),
        lambda path: (path / "inner").mkdir(),
    ],
)
def test_what_somebody_changed_or_added_stays(folder, change):
    change(folder / "wrong-1")
    kept = names(folder / "wrong-1")
    (folder / "mine.txt").write_text("mine")
    graphopt.optimize(proto(ONE), passes=[wrong], reproducers=folder)
    assert names(folder) == ["mine.txt", "wrong-1", "wrong-2"]
    assert names(folder / "wrong-1") == kept


def test_links_are_not_followed(folder, tmp_path):
    (folder / "wrong-1").rename(tmp_path / "elsewhere")
    (folder / "wrong-1").symlink_to(tmp_path / "elsewhere")
    prepare(folder)
    assert names(tmp_path / "elsewhere") == FILES


@pytest.mark.parametrize("place", ["file", "file/inner", "file/inner/deep"])
def test_a_place_where_nothing_can_be_written_is_known_before_the_work(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    seen = []

    class Watch:
        def pass_begins(self, _context, step):
            seen.append(step)

        pass_ends = message = pass_begins

    with pytest.raises(graphopt.OutputError, match=r"reproducers cannot be written into .*: .*file is not a folder"):
        graphopt.optimize(proto(MODEL), passes=[wrong], reproducers=tmp_path / place, observers=[Watch()])
    assert seen == []


def test_a_folder_without_permission(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(graphopt.OutputError, match="no permission"):
        prepare(locked / "faults")
