"""A key knows its line, whatever TOML is around it."""

from __future__ import annotations

import pytest

import graphopt
from graphopt.recipe.document import LIMIT, read

TEXT = '''\
# seed = 1
model = "m.onnx"
passes = """
seed = 2
[bench]
"""
"quoted key" = 1
  seed=3
inline = { seed = 4 }
plugin = [
  "seed",
]

[compare]
seed = 5
[ bench ] # seed = 6
other.seed = 7
'''


@pytest.fixture
def document(tmp_path):
    (tmp_path / "a.toml").write_text(TEXT, "utf-8")
    return read(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("model",), 2),
        (("passes",), 3),
        (("quoted key",), 7),
        (("seed",), 8),
        (("inline", "seed"), 9),
        (("plugin",), 10),
        (("compare",), 14),
        (("compare", "seed"), 15),
        (("bench",), 16),
        (("bench", "other", "seed"), 17),
    ],
)
def test_the_line_of_a_key(document, keys, line):
    assert document.place(*keys) == f"{document.path}:{line}"


def test_a_key_that_is_not_there_has_the_place_of_the_file(document):
    assert document.place("seeed") == str(document.path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"seed = 1\nmodel = = 1\n", "is not TOML: Invalid value .*line 2"),
        (b"a = 1\na = 2\n", "is not TOML: Cannot overwrite a value .*line 2"),
        (b"\xff\xfe", "is not TOML: .*utf-8"),
        (b"#" * (LIMIT + 1), "more than 1 MB: this is no recipe"),
        (b"a = " + b"[" * 100_000, "is not TOML"),
    ],
)
def test_what_is_no_toml(tmp_path, content, words):
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(graphopt.UsageError, match=f"recipe {path} .*{words}"):
        read(path)


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(graphopt.UsageError, match="Is a directory"):
        read(tmp_path)
