"""The program as such: how quickly it starts, how it ends, what it completes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import graphopt
import graphopt.cache.results  # before a test puts something in the place of what it imports
import graphopt.cli.app as program
from tests.cli.conftest import ROOT, process, run

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
HEAVY = ("numpy", "onnx", "onnxruntime", "onnx_graphsurgeon", "networkx", "google.protobuf", "passes", "graphopt.api")
EMPTY = """
import typer
app = typer.Typer()
@app.command()
def one(): "One."
@app.command()
def two(): "Two."
"""
PROGRAM = "from graphopt.cli import main as app"
COUNT = """
import sys
sys.argv = ["program", "--help"]
{}
try:
    app()
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""
COLLECTED = """
import gc, sys
from graphopt.cli import SELDOM, main
runs = []
gc.callbacks.append(lambda phase, _: runs.append(phase))
try:
    main()
except SystemExit:
    importing = len(runs)
    lists = [[] for _ in range(2 * SELDOM)]
    print(importing, len(runs) - importing)
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


def started(*arguments: object) -> subprocess.Popen[str]:
    """The command line, running in the current folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "graphopt.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def modules(setup: str, *arguments: object, cwd: Path = ROOT) -> set[str]:
    """The modules that a program has imported when it has done what the arguments say: to print its help."""
    code = COUNT.format(setup)
    if arguments:
        code = code.replace('["program", "--help"]', repr(["program", *map(str, arguments)]))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd, env=ENVIRONMENT
    )
    return set(done.stderr.split())


def test_help_imports_hardly_more_than_an_empty_program():
    ours, empty = modules(PROGRAM), modules(EMPTY)
    assert not [name for name in HEAVY if name in ours]
    assert len(ours) <= 1.2 * len(empty)


def test_the_runtime_tells_nobody_of_the_models_that_it_runs(model, tmp_path):
    (tmp_path / "temporary").mkdir()
    out = tmp_path / "out.onnx"
    done = process("optimize", model, "-o", out, "--measure", TMPDIR=str(tmp_path / "temporary"))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_compile_without_data_imports_nothing_that_reads_or_scores_data(model, here):
    imported = modules(PROGRAM, "optimize", model, "-o", "out.onnx", "--no-cache", cwd=here)
    assert "graphopt.compile" in imported
    assert not [name for name in imported if name.startswith("graphopt.data") or name == "graphopt.measure.evaluate"]
    assert not imported & {"pydantic", "graphopt.recipe.reading", "graphopt.budget.record", "rich.live"}


def test_a_compile_that_prints_nothing_imports_nothing_that_prints(model, here):
    imported = modules(PROGRAM, "optimize", model, "-o", "out.onnx", "--no-cache", "--quiet", cwd=here)
    assert "graphopt.compile" in imported
    assert not imported & {"rich", "graphopt.report.text", "graphopt.cache"}


@pytest.mark.parametrize("command", program.COMMANDS)
def test_a_command_imports_no_other(command):
    imported = modules(PROGRAM, command, "--help")
    assert [name for name in program.COMMANDS if f"graphopt.cli.{name}" in imported] == [command]


def test_no_garbage_is_looked_for_while_modules_are_imported(model, here):
    command = [sys.executable, "-c", COLLECTED, "optimize", model, "-o", "out.onnx", "--no-cache", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here, env=ENVIRONMENT)
    importing, later = map(int, done.stdout.split())
    assert importing == 0
    assert later > 0, "a command that takes long has it looked for"


@pytest.mark.parametrize("command", ["optimize", "inspect", "passes", "compare", "why"])
def test_every_command_has_help_with_the_exit_codes(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Exit codes: 0 done; 1 a check failed, or a limit was missed; 2 usage" in " ".join(result.stdout.split())


def test_without_a_command_there_is_help():
    assert re.findall(r"^│ (\w+) ", process().stdout, re.MULTILINE) == [*program.COMMANDS]


def test_the_nearest_command_is_suggested():
    result = process("optimise", "model.onnx")
    assert (result.returncode, result.stdout) == (2, "")
    assert "No such command 'optimise'. Did you mean 'optimize'?" in result.stderr


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"graphopt {graphopt.__version__}\n")


# ---- completion ----


def completed(*words: str) -> list[str]:
    """What fish, which has the plainest protocol, is offered."""
    result = process(
        _GRAPHOPT_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS=" ".join(["graphopt", *words]),
    )
    return [line.split("\t")[0] for line in result.stdout.splitlines()]


def test_names_of_passes_and_rules_are_completed():
    assert "clean" in completed("optimize", "m.onnx", "--passes", "cl")
    assert completed("why", "m.onnx", "--rule", "conv_batchn") == ["conv_batchnorm"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cl", "clean"),
        ("clean,fu", "clean,fuse"),
        ("clean,fix(fo", "clean,fix(fold"),
        ("f", "fix("),
        ("fuse:o", "fuse:only="),
        ("fix(fuse:only=conv_batchn", "fix(fuse:only=conv_batchnorm"),
        ("fuse:only=gelu+conv_batchn", "fuse:only=gelu+conv_batchnorm"),
        ("fuse:only=gelu:sk", "fuse:only=gelu:skip="),
    ],
)
def test_the_last_word_of_a_pipeline_is_completed(text, expected):
    from graphopt.cli.complete import pipelines

    assert expected in pipelines(text)


def test_nothing_is_offered_for_a_pass_that_does_not_exist():
    from graphopt.cli.complete import pipelines, topics

    assert pipelines("fuss:o") == []
    assert {"fuse", "conv_batchnorm"} <= set(topics(""))


# ---- how it ends ----


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (graphopt.UsageError("no such thing"), 2, "no such thing"),
        (graphopt.PassError("it broke"), 2, "it broke"),
        (graphopt.OutputError("a\x1b[2Jb"), 2, "a\\x1b[2Jb"),
        (graphopt.VerificationError("they differ"), 1, "they differ"),
        (FileNotFoundError(2, "No such file or directory", "x.bin"), 2, "x.bin: No such file or directory"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (MemoryError(), 2, "there is not enough memory for this model"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=repr,
)
def test_errors_are_one_sentence_and_an_exit_code(model, monkeypatch, error, code, sentence):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr("graphopt.api.optimize", fail)
    result = run("optimize", model, "-o", "out.onnx", "--no-cache")
    assert result.exit_code == code
    assert result.stderr == (f"graphopt: {sentence}\n" if sentence else "")
    assert result.stdout == ""


def test_a_bug_has_an_exit_code_of_its_own(monkeypatch, capsys):
    def fail(**_options):
        raise ZeroDivisionError

    class Stream:
        def reconfigure(self, **_options):
            """Accepts anything."""

    monkeypatch.setattr(program, "application", lambda *_: fail)
    monkeypatch.setattr(sys, "stdout", Stream())
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 70
    assert "this is a bug in graphopt" in capsys.readouterr().err


def test_ctrl_c_ends_it_quietly_and_leaves_nothing(model, here):
    (here / "slow.py").write_text(SLOW)
    running = started("optimize", model, "-o", "out.onnx", "--plugin", "slow", "--passes", "wait")
    while not (here / "waiting").exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, "", "")
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == {"model.onnx", "slow.py", "waiting"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--help",), 0),
        (("optimize", "--help"), 0),
        (("--version",), 0),
        (("inspect", f"{ROOT}/models/digits.onnx", "--no-passes"), 0),
        (("optimize", f"{ROOT}/models/digits.onnx", "-o", "out.onnx", "--verify", "off", "--json"), 0),
        (("compare", f"{ROOT}/models/digits.onnx", f"{ROOT}/models/digits_transformer.onnx"), 1),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_reader_that_goes_away_is_no_error(here, arguments, code):
    running = started(*arguments)
    running.stdout.close()
    _, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (code, "")
    assert (here / "out.onnx").exists() == (arguments[0] == "optimize" and "-o" in arguments)


def test_progress_is_for_terminals(model, monkeypatch):
    from rich.console import Console

    from graphopt.cli import terminal, watch

    shown = []
    monkeypatch.setattr(terminal, "console", lambda **_: Console(file=_Recorder(shown), force_terminal=True, width=80))
    with watch.progress(quiet=False) as line:
        line.message("pass fuse")
    assert any("pass fuse" in text or "reading" in text for text in shown)
    shown.clear()
    with watch.progress(quiet=True) as line:
        line.message("pass fuse")
    assert shown == []


class _Recorder:
    """A stream that keeps what is written."""

    def __init__(self, shown):
        self.shown = shown

    def write(self, text):
        self.shown.append(text)

    def flush(self):
        """Nothing waits."""

    def isatty(self):
        return True


def test_plugins_may_lie_in_the_current_folder(model, here):
    source = (ROOT / "tests" / "cli" / "planted.py").read_text("utf-8")
    (here / "my_rules.py").write_text(source.replace('"planted"', '"mine"').replace('"right"', '"mine_too"'))
    result = process("optimize", model, "-o", "out.onnx", "--plugin", "my_rules", "--passes", "mine_too")
    assert result.returncode == 0, result.stderr
    assert "relu_twice 1" in result.stdout
    (here / "broken.py").write_text("PASSES = (1 +")
    result = process("optimize", model, "-o", "out.onnx", "--plugin", "broken", "--passes", "mine_too")
    assert result.returncode == 2
    assert "plugin broken cannot be loaded" in result.stderr
