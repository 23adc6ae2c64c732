"""Functions in processes of their own, which may fail in every way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from graphopt.errors import ModelError, UsageError
from graphopt.measure import isolated as module
from graphopt.measure.isolated import isolated


def identify(value):
    print("libraries print what they like")
    return os.getpid(), value


def refuse():
    raise UsageError("it does not fit")


def die():
    sys.stderr.write("first\nlast words\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def err():
    return 1 // 0


def wait():
    signal.pause()


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Lets the process find the functions of this file, wherever pytest has found it."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    for function in (identify, refuse, die, err, wait):
        monkeypatch.setattr(function, "__module__", "test_isolated")
    monkeypatch.setitem(sys.modules, "test_isolated", sys.modules[__name__])


def test_the_result_comes_from_another_process():
    process, value = isolated("it", identify, {"a": [1]})
    assert process != os.getpid()
    assert value == {"a": [1]}


def test_an_error_for_the_user_comes_as_it_is():
    with pytest.raises(UsageError, match=r"^it does not fit$"):
        isolated("it", refuse)


@pytest.mark.parametrize(
    ("function", "reason"), [(die, r"died \(SIGKILL\): last words"), (err, r"exit code 1\): ZeroDivisionError")]
)
def test_a_process_that_dies_is_an_error_that_says_how(function, reason):
    with pytest.raises(ModelError, match=f"^the model failed: .*{reason}"):
        isolated("the model", function)


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(module, "LIMIT_S", 0.2)
    with pytest.raises(ModelError, match="the model did not come to an end"):
        isolated("the model", wait)
