"""The README shows what the commands print, quotes the files as they are, and its code runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli import readme
from tests.cli.conftest import run

TEXT = readme.README.read_text("utf-8")


def comparable(text: str) -> str:
    """The text without what another processor may change: measured errors and times, and how lines are broken."""
    words = " ".join(text.split())
    words = re.sub(r"(largest error is|at most|That is) \S+", r"\1 N", words)
    words = re.sub(r"on cpu with \d+ threads?, \S+ s", "on cpu", words)
    words = re.sub(r"at \[[\d, ]+\]: \S+ became \S+", "at [N]: N became N.", words)
    return re.sub(r"(logits float\[\d+, 10\]) .*? ok", r"\1 N ok", words)


def test_the_made_blocks_are_up_to_date(tmp_path):
    now = readme.made(TEXT, readme.folder(TEXT, tmp_path))
    assert comparable(now) == comparable(TEXT), "run `python -m tests.cli.readme`"


@pytest.mark.parametrize("code", re.findall(r"```python\n(import graphopt\n.*?)```", TEXT, re.DOTALL))
def test_the_code_runs(tmp_path, code):
    where = readme.folder(TEXT, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=where,
        env={"PYTHONPATH": str(readme.ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_a_test_is_one(tmp_path):
    where = readme.folder(TEXT, tmp_path)
    for name, content in vars(_imported(where / "test_gelu.py")).items():
        if name.startswith("test_"):
            content()


def _imported(path):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("command", ["optimize", "inspect", "passes", "compare", "evaluate", "why"])
def test_every_option_that_is_named_exists(command):
    options = run(command, "--help").stdout
    named = {
        option
        for line in re.findall(rf"graphopt {command} ([^\n`]*)", TEXT)
        for option in re.findall(r"(--[a-z-]+)", line)
    }
    if command == "optimize":
        named |= set(re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE))
    assert {option for option in named if option not in options} == set()


def test_the_exit_codes_are_those_of_the_program():
    from graphopt.cli import exits

    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert codes == {code for name, code in vars(exits).items() if name.isupper()}


def test_lines_fit_and_nothing_of_this_machine_is_in_it():
    assert str(readme.ROOT) not in TEXT
    for line in TEXT.splitlines():
        assert len(line) <= 140 or line.startswith("|"), line
