"""A deployment repository with a real make: built once, built anew when something changed, never half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.conftest import ROOT, run
from tests.support import operators, proto

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make on this machine")

MODEL = "agraph (float[n, 64] x) => (float[n, 64] y) { a = Relu(x) b = Relu(a) c = MatMul(b, w) y = Sigmoid(c) }"
RULES = """
from graphopt import Exact, Value, op, rule, rule_pass
from helpers import again

x = Value("x")

@rule(op.Relu(op.Relu(x)), numerics=Exact())
def relu_once(m, new):
    "Relu(Relu(x)) is Relu(x)."
    return new.Relu(m[x])

@rule(op.Sigmoid(x), numerics=Exact())
def wrong(m, new):
    "Sigmoid(x) is not Tanh(x)."
    return new.Tanh(m[x])

PASSES = (rule_pass("mine", "One rule.", [relu_once]), rule_pass("bad", "Another.", [wrong]))
"""
SLOW = """
import time
from pathlib import Path
from graphopt import Pass

def wait(context, options):
    Path("waiting").touch()
    time.sleep(100)

PASSES = (Pass("wait", wait, "Waits."),)
"""
FILES = {
    "common.toml": 'verify = "structure"\n',
    "net.toml": """
        extends = "common.toml"
        model = "models/net.onnx"
        passes = "@more.toml,mine"
        plugin = ["my_rules"]
        feeds = "inputs/x.npz"
        """,
    "more.toml": 'passes = "freeze"\n',
    "my_rules.py": RULES,
    "helpers.py": "again = 1\n",
    "other model.toml": """
        model = "models/net.onnx"
        output = "build/it's.onnx"
        passes = "freeze"
        verify = "off"
        quiet = true
        """,
}
READ = ("net.toml", "common.toml", "more.toml", "models/net.onnx", "models/net.data", "my_rules.py", "helpers.py",
        "inputs/x.npz")  # fmt: skip


@pytest.fixture
def repository(here):
    (here / "models").mkdir()
    (here / "inputs").mkdir()
    message = proto(MODEL, {"w": np.ones((64, 64), np.float32)})
    onnx.save(message, here / "models" / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    np.savez(here / "inputs" / "x.npz", x=np.zeros((3, 64), np.float32))
    for name, text in FILES.items():
        (here / name).write_text(text, "utf-8")
    for path in here.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    written = run("makefile")
    assert written.exit_code == 0, written.stderr
    (here / "Makefile").write_text(written.stdout, "utf-8")
    return here


def started(*arguments: str, **options) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GRAPHOPT": f"{sys.executable} -m graphopt.cli",
    }
    return subprocess.Popen(
        [str(MAKE), *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def make(*arguments: str) -> tuple[int, str]:
    running = started(*arguments)
    out, err = running.communicate(timeout=120)
    return running.returncode, out + err


def up_to_date() -> bool:
    return make("--question")[0] == 0


def touched(path: Path) -> tuple[float, float]:
    """The times of a file before it is made newer than everything else."""
    before = path.stat()
    future = time.time() + 1000
    os.utime(path, (future, future))
    return before.st_atime, before.st_mtime


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_repository(repository):
    before = names(repository)
    code, said = make("-j2")
    assert code == 0, said
    outputs = {"net.opt.onnx", "net.opt.onnx.data", "net.opt.onnx.d"}
    outputs |= {"build/it's.onnx", "build/it's.onnx.data", "build/it's.onnx.d"}
    assert names(repository) - before == outputs
    assert operators(onnx.load("net.opt.onnx"))["Relu"] == 1
    assert operators(onnx.load("build/it's.onnx"))["Relu"] == 2

    written = (repository / "net.opt.onnx").stat().st_mtime_ns
    assert "Nothing to be done" in make("-j2")[1]
    assert (repository / "net.opt.onnx").stat().st_mtime_ns == written

    for name in READ:  # each by itself is a reason to build again
        times = touched(repository / name)
        assert not up_to_date(), name
        os.utime(repository / name, times)
        assert up_to_date(), name
    (repository / "helpers.py").unlink()
    assert not up_to_date()
    (repository / "helpers.py").write_text("again = 2\n", "utf-8")

    code, said = make("-j2")
    assert (code, said.count(" optimize ")) == (0, 1), said
    assert (repository / "net.opt.onnx").stat().st_mtime_ns > written
    assert up_to_date()

    code, said = make("verify")
    assert (code, said.count("B agrees with A")) == (0, 2), said
    assert make("clean")[0] == 0
    assert names(repository) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('passes = "clean,no_such_pass"', "there is no pass 'no_such_pass'"),
        ('passs = "clean"', "net.toml:2: there is no key 'passs'"),
        ('passes = "bad"\nplugin = ["my_rules"]\nstrict = true', "not everything in it was verified or kept"),
    ],
)
def test_a_failed_build_leaves_no_target(repository, change, words):
    (repository / "net.toml").write_text(f'model = "models/net.onnx"\n{change}\n', "utf-8")
    code, said = make("net.opt.onnx")
    assert code == 2
    assert words in " ".join(said.split())
    assert not (repository / "net.opt.onnx").exists()


def test_an_interrupted_build_leaves_no_target(repository):
    (repository / "slow.py").write_text(SLOW, "utf-8")
    (repository / "net.toml").write_text('model = "models/net.onnx"\nplugin = ["slow"]\npasses = "wait"\n', "utf-8")
    before = names(repository)
    running = started("net.opt.onnx", start_new_session=True)
    while not (repository / "waiting").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert names(repository) == before | {"waiting"}


def test_two_makes_at_once(repository):
    both = [started("-j2"), started("-j2")]
    for running in both:
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, out + err
    assert up_to_date()
    assert operators(onnx.load("net.opt.onnx"))["Relu"] == 1
    assert [name for name in names(repository) if ".tmp" in name or ".twin" in name] == []


# ---- what is written ----


def test_recipes_may_be_named_and_lie_elsewhere(repository):
    (repository / "deploy").mkdir()
    (repository / "deploy" / "a.toml").write_text('model = "../models/net.onnx"\n', "utf-8")
    result = run("makefile", "deploy/a.toml", "net.toml")
    assert result.exit_code == 0
    assert "all : \\\n  deploy/a.opt.onnx \\\n  net.opt.onnx\n" in result.stdout
    assert "# Written by `graphopt makefile deploy/a.toml net.toml`." in result.stdout
    assert "other model" not in result.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('output = "net.opt.onnx"\nmodel = "m.onnx"', "both write net.opt.onnx: give one another output"),
        ('output = "a;b.onnx"\nmodel = "m.onnx"', "make has no way to spell"),
        ('modle = "m.onnx"\nmodel = "m.onnx"', "did you mean model"),
    ],
)
def test_recipes_that_make_no_makefile(repository, text, words):
    (repository / "bad.toml").write_text(text, "utf-8")
    result = run("makefile")
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_a_folder_without_recipes(here):
    (here / "pyproject.toml").write_text("[project]\n", "utf-8")
    result = run("makefile")
    assert result.exit_code == 2
    assert "no recipe in the current folder" in result.stderr


@pytest.mark.parametrize("line", ['data = "inputs/x.npz"', '[evaluate]\ndata = "inputs/x.npz"'])
def test_data_is_for_evaluating(repository, line):
    assert "evaluate --recipe" not in run("makefile", "net.toml").stdout
    with (repository / "net.toml").open("a") as file:
        file.write(f"\n{line}\n")
    assert "\t$(GRAPHOPT) evaluate --recipe net.toml" in run("makefile", "net.toml").stdout.splitlines()
