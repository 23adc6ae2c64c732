"""Pipelines are text that round-trips; whatever is wrong with one is said before any work, with the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphopt
from graphopt.pipeline.registry import Registry
from graphopt.pipeline.text import Fix, Pipeline, Step, moved, parse
from tests.support import proto

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)
VALUES = st.from_regex(r"[A-Za-z0-9_+.\-/]{1,8}", fullmatch=True)
STEPS = st.builds(
    Step, NAMES.filter(lambda name: name != "fix"), st.lists(st.tuples(NAMES, VALUES), max_size=3).map(tuple)
)
ITEMS = st.recursive(
    STEPS, lambda inner: st.builds(Fix, st.lists(inner, min_size=1, max_size=3).map(tuple)), max_leaves=6
)
PIPELINES = st.builds(Pipeline, st.lists(ITEMS, min_size=1, max_size=4).map(tuple))


@given(PIPELINES)
def test_a_pipeline_is_its_text(pipeline):
    assert parse(str(pipeline)) == pipeline
    assert str(parse(str(pipeline))) == str(pipeline)


@given(st.text(max_size=30))
def test_any_text_is_a_pipeline_or_a_clear_error(text):
    try:
        pipeline = parse(text)
    except graphopt.UsageError:
        return
    assert parse(str(pipeline)) == pipeline


@pytest.mark.parametrize("text", ["fold,fuse", "fuse:only=gelu+layer_norm", "fix(canonical,fold,fuse,clean)"])
def test_the_usual_spellings(text):
    assert str(parse(text)) == text
    Registry().resolve(parse(text))


def test_blanks_do_not_matter():
    assert parse(" fold , fix( fuse : only = gelu ) ") == parse("fold,fix(fuse:only=gelu)")


def test_files_are_spelled_out(tmp_path):
    (tmp_path / "inner.toml").write_text('passes = "clean"', encoding="utf-8")
    (tmp_path / "outer.toml").write_text('passes = ["@inner.toml", "fix(fold)"]', encoding="utf-8")
    assert str(parse("fuse,@outer.toml", tmp_path)) == "fuse,clean,fix(fold)"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("passes =", "not TOML"),
        ('pass = "fold"', 'no key "passes"'),
        ("passes = 3", "must be a text or a list"),
        ('passes = "@here.toml"', "includes? itself"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, words):
    if content is not None:
        (tmp_path / "here.toml").write_text(content, encoding="utf-8")
    with pytest.raises(graphopt.UsageError, match=words):
        parse("@here.toml", tmp_path)


@pytest.mark.parametrize(
    ("passes", "words"),
    [
        ("fold,fusee", "no pass 'fusee'"),
        ("fuse:onyl=gelu", "no option 'onyl'"),
        ("fuse:only=gleu", "no rule 'gleu'"),
        ("fix(fold", "expected , or"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(tmp_path, passes, words):
    (tmp_path / "inner.toml").write_text(f'passes = "{passes}"', encoding="utf-8")
    (tmp_path / "outer.toml").write_text('passes = "clean,@inner.toml"', encoding="utf-8")
    model = proto("agraph (float[4] x) => (float[4] y) { y = Relu(x) }")
    with pytest.raises(graphopt.UsageError, match=f"pipeline file {tmp_path / 'inner.toml'}: .*{words}"):
        graphopt.optimize(model, passes=parse(f"@{tmp_path / 'outer.toml'}"))


def test_a_pipeline_knows_the_files_that_it_includes(tmp_path):
    (tmp_path / "inner.toml").write_text('passes = "fold"', encoding="utf-8")
    (tmp_path / "outer.toml").write_text('passes = "@inner.toml,clean,@inner.toml"', encoding="utf-8")
    assert parse("fuse,@outer.toml", tmp_path).files == (tmp_path / "outer.toml", tmp_path / "inner.toml")


def test_a_text_can_be_read_from_another_folder():
    text = "clean, @more.toml,fix(@a/b.toml,fuse:only=gelu)"
    assert moved(text, Path("recipes")) == "clean, @recipes/more.toml,fix(@recipes/a/b.toml,fuse:only=gelu)"
    with pytest.raises(graphopt.UsageError, match="cannot stand in a pipeline"):
        moved("@more.toml", Path("a (copy)"))


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 1), ("fold,", 6), ("fix(fold", 9), ("fold)", 5), ("fuse:only", 10), ("fuse:only=", 11), ("fold fuse", 6)],
)
def test_an_error_shows_the_place(text, position):
    with pytest.raises(graphopt.UsageError, match=f"position {position}\n") as raised:
        parse(text)
    assert str(raised.value).splitlines()[-1] == "  " + " " * (position - 1) + "^"


def test_nesting_is_bounded():
    with pytest.raises(graphopt.UsageError, match="nested too deeply"):
        parse("fix(" * 1000 + "fold" + ")" * 1000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fusee", "no pass 'fusee'; did you mean fuse"),
        ("fuse:onyl=gelu", "no option 'onyl'; its options: only, skip"),
        ("fuse:only=gleu", "no rule 'gleu'"),
        ("fuse:only=gelu:only=relu", "given twice"),
        ("opset", "say which version"),
        ("opset:version=eleven", "found 'eleven'"),
        ("opset:version=5", "cannot be lowered"),
        ("clean,fix(fold,opset:version=5)", "cannot be lowered"),
    ],
)
def test_what_does_not_exist_or_fit_is_said_before_any_work(text, words):
    model = proto("agraph (float[4] x) => (float[4] y) { y = Relu(x) }")
    seen = []

    class Watch:
        def pass_begins(self, _context, step):
            seen.append(step)

        pass_ends = message = pass_begins

    with pytest.raises(graphopt.UsageError, match=words):
        graphopt.optimize(model, passes=text, observers=[Watch()])
    assert not seen
