"""A process for runs can be started long before it is needed, and ends with what it was started for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graphopt.numerics.process import Process, started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no process for runs on Windows")


def test_it_lives_as_long_as_the_block():
    with started() as process:
        assert process.alive
    assert not process.alive


def test_it_ends_with_an_error():
    with pytest.raises(KeyboardInterrupt), started() as process:
        raise KeyboardInterrupt
    assert not process.alive


def test_where_none_can_be_started_there_is_none(monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with started() as process:
        assert process is None


def test_starting_one_imports_nothing_heavy():
    code = "import sys, graphopt.numerics.process; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*done.stdout.split()} & {"numpy", "onnx", "onnxruntime"}


def test_a_process_that_hangs_up_and_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr("graphopt.numerics.process.START_S", 2.0)
    silent = "import os, sys, time; os.close(int(sys.argv[2])); time.sleep(60)"
    process = Process(silent)
    lost = process.ask(("run",), 1.0)
    assert "died" in lost.failure.reason
    assert not process.alive
    process.end()
