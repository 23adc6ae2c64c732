"""Dependencies as make reads them, whatever files are called."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

import graphopt
from graphopt.recipe.depfile import depfile

NAMES = (
    "a b", "a#b", "a$b", "a:b", "a%b", "a\\b", "a\\ b", "a\\#b", "a\\:b", "a=b", "a*b", "a?b", "a[b]", "~a", "a&b",
    "a'b",     'a"b', "a{b}", "a,b", "größe", "-a", "@a", "$(shell touch owned)", "a  b",
)  # fmt: skip
OLD, NEW = 1_000_000_000, 1_000_000_010

MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="there is no make on this machine")


def make(where, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [str(MAKE), "-s", *arguments], cwd=where, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@needs_make
@pytest.mark.parametrize("name", [name for name in NAMES if name != "$(shell touch owned)"])
def test_a_dependency_of_any_name(tmp_path, name):
    (tmp_path / "Makefile").write_text("out :\n\t@echo built; touch -d @1000000005 out\ninclude out.d\n", "utf-8")
    (tmp_path / "out.d").write_text(depfile("out", [name, "other"]), "utf-8")
    for file in (name, "other"):
        (tmp_path / file).touch()
        os.utime(tmp_path / file, (OLD, OLD))
    assert make(tmp_path) == "built\n"
    assert make(tmp_path) == ""
    os.utime(tmp_path / name, (NEW, NEW))
    assert make(tmp_path) == "built\n"
    os.utime(tmp_path / name, (OLD, OLD))
    assert make(tmp_path) == ""
    if "%" not in name:
        (tmp_path / name).unlink()
        assert make(tmp_path) == "built\n"


@needs_make
@pytest.mark.parametrize("name", [name for name in NAMES if not set(name) & set("%&()")])
def test_a_target_of_any_name(tmp_path, name):
    rule = depfile(name, ["in"]).partition("\n\n")[0]
    text = f"{rule}\n\t@echo built; xargs -0 touch -- < name\n"
    (tmp_path / "Makefile").write_text(text, "utf-8")
    (tmp_path / "name").write_text(name, "utf-8")
    (tmp_path / "in").touch()
    os.utime(tmp_path / "in", (OLD, OLD))
    assert make(tmp_path) == "built\n"
    assert (tmp_path / name).exists()
    assert make(tmp_path) == ""


@needs_make
def test_a_name_is_never_a_command(tmp_path):
    name = "$(shell touch owned)x"
    (tmp_path / "Makefile").write_text("out :\n\t@touch out\ninclude out.d\n", "utf-8")
    (tmp_path / "out.d").write_text(depfile("out", [name]), "utf-8")
    make(tmp_path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["a\nb", "a;b", "a|b", "lib(member)", "a\\"])
def test_a_name_that_make_cannot_spell(name):
    with pytest.raises(graphopt.UsageError, match="rename the file"):
        depfile("out", [name])


@pytest.mark.parametrize("name", ["a%b", "a&", "a\tb"])
def test_a_target_that_make_cannot_spell(name):
    depfile("out", [name])
    with pytest.raises(graphopt.UsageError, match="rename the file"):
        depfile(name, ["in"])


def test_each_file_is_named_once_and_the_output_is_none_of_its_own():
    assert depfile("out", ["a", "b", "a", "out"]) == "out : \\\n  a \\\n  b\n\na :\n\nb :\n"


def test_an_output_that_depends_on_nothing():
    assert depfile("out", []) == "out :\n"
