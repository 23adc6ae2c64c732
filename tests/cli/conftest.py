"""Two ways to run the command line, and small models to run it on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner, Result

from graphopt.cli.app import application
from tests import support

ROOT = Path(__file__).parents[2]
PLUGIN = ("--plugin", "tests.cli.planted")

MIXED = """
agraph (float[n, 4] x) => (float[n, 4] y, float[n, 4] z) {
    a = Relu(x)
    b = Relu(a)
    c = Sigmoid(b)
    d = Tanh(c)
    y = Exp(d)
    e = Sigmoid(x)
    z = Mul(e, b)
}
"""
THING = """
<ir_version: 10, opset_import: ["" : 21, "custom" : 1]>
agraph (float[n, 4] x) => (float[n, 4] y) {
    a = Relu(x)
    b = Relu(a)
    y = custom.Thing(b)
}
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(here) -> Callable[[str, str], Path]:
    """Writes the model that a text spells into a file of the current folder."""

    def write(text: str, name: str = "model.onnx") -> Path:
        onnx.save(support.proto(text), here / name)
        return Path(name)

    return write


@pytest.fixture
def model(written) -> Path:
    """A model in which every planted rule but `unknown_thing` finds something, two Sigmoids among it."""
    return written(MIXED)


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(), [str(one) for one in arguments])


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as users do, in the current folder."""
    return subprocess.run(
        [sys.executable, "-m", "graphopt.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
