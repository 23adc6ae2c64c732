"""`graphopt optimize` starts the process for runs before anything else, and none of its ends leaves it behind."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import graphopt
import graphopt.cache.results  # before a test puts something in the place of what it imports
from graphopt.numerics import process
from tests.cli.conftest import ROOT, run

FIRST = """
import sys
from graphopt.cli import main
from graphopt.numerics import process

class Told(process.Process):
    def __init__(self, *arguments):
        print("numpy" in sys.modules)
        super().__init__(*arguments)

process.Process = Told
main()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no process for runs on Windows")


@pytest.fixture
def processes(monkeypatch):
    """Those that have been started."""
    made = []

    class Noted(process.Process):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(process, "Process", Noted)
    return made


def test_the_process_gets_ready_while_everything_else_is_imported(model, here):
    command = [sys.executable, "-c", FIRST, "optimize", model, "-o", "out.onnx", "--no-cache", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here, env=environment)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("--no-cache",), 0),
        (("--verify", "off"), 0),
        (("--passes", "fuss"), 2),
        (("--depfile", "out.onnx"), 2),
        (("--max-size", "100B"), 1),
    ],
    ids=str,
)
def test_one_process_serves_the_compile_and_ends_with_it(model, here, processes, arguments, code):
    result = run("optimize", model, "-o", "out.onnx", "--cache-dir", "cache", *arguments)
    assert result.exit_code == code, result.stderr
    assert [one.alive for one in processes] == [False]


def test_it_ends_when_the_result_is_in_the_cache(model, processes):
    command = ("optimize", model, "-o", "out.onnx", "--cache-dir", "cache")
    run(*command)
    assert "The result is from the cache" in run(*command).stdout
    assert [one.alive for one in processes] == [False, False]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, graphopt.VerificationError("they differ")])
def test_it_ends_with_an_error(model, monkeypatch, processes, error):
    def fail(*_arguments, runner, **_options):
        assert runner.alive
        raise error

    monkeypatch.setattr("graphopt.api.optimize", fail)
    assert run("optimize", model, "-o", "out.onnx", "--no-cache").exit_code != 0
    assert [one.alive for one in processes] == [False]
