"""numpy is loaded so that idle threads of its linear algebra leave the cores to others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VARIABLE = "OPENBLAS_THREAD_TIMEOUT"
PROGRAM = f"""
import os, sys
from graphopt.numerics.blas import load_idle
load_idle()
print("numpy" in sys.modules, os.environ.get("{VARIABLE}"))
"""


def told(*lines, **environment):
    """What a process says that first does `lines`."""
    clean = {name: value for name, value in os.environ.items() if name != VARIABLE} | environment
    command = [sys.executable, "-c", "\n".join([*lines, PROGRAM])]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=clean).stdout.split()


@pytest.fixture
def spying(tmp_path):
    """A numpy that says what the variable is while it is imported."""
    (tmp_path / "numpy.py").write_text(f"import os; print(os.environ.get('{VARIABLE}'))")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_threads_are_told_to_sleep_at_once_and_the_environment_is_as_it_was(spying):
    assert told(**spying) == ["4", "True", "None"]


def test_a_numpy_that_is_there_already_stays(spying):
    assert told("import numpy", **spying) == ["None", "True", "None"]


def test_what_the_user_has_set_stays():
    assert told(**{VARIABLE: "20"}) == ["False", "20"]
