"""Damaged models through the whole command: each is refused in one clear sentence, or compiled correctly.

`python -m tests.bench corruption [--cases N] [--seconds S] [--first SEED] [--jobs J]`: case by case, a model of the
corpus (small ones more often) or a small one that has everything is damaged by a seed, and goes through `graphopt
optimize` with all its checks, in a process with 2 GB of memory. A traceback, a crash, a hang, too much memory, or a
result that onnx finds invalid where the damaged model was valid is a failure, shown with its seed; where the process
itself died, the command is run once more as users run it, with its reference runs in a process of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.damage import damaged
from tests.bench.pool import Limits, results

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus"
FINE = ("compiled", "refused")
_NEWS = 500
"""Cases after which the progress is told."""

SMALL = {
    "branches": """<ir_version: 10, opset_import: ["": 21, "d": 1], metadata_props: ["k": "v"]>
        agraph (float[N, 4] x, bool c, int64[K] i) => (float[N, M] y, float[K, 4] z)
        <float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}, int64[2] s = {-1, 4}, float two = {2.0}> {
            a = MatMul(x, w)
            b = If(c) <then_branch = t () => (float[N, 4] p) { p = Mul(a, two) },
                       else_branch = e () => (float[N, 4] q) { r = Relu(a) q = Relu(r) }>
            h = Shape(x) g = ConstantOfShape <value = float {0.5}> (h) f = Add(b, g) d = d.twice(f) y = Reshape(d, s)
            z = Gather(x, i) }
        <domain: "d", opset_import: ["": 21]> twice (v) => (u) { k = Constant <value_float = 2.0> () u = Mul(v, k) }""",
    "loop": """<ir_version: 8, opset_import: ["": 17]>
        agraph (float[3] x, int64 n, bool c) => (float[3] y, float[T, 3] ys) {
            y, ys = Loop(n, c, x) <body = b (int64 j, bool k, float[3] s) => (bool k2, float[3] s2, float[3] o) {
                k2 = Identity(k) s2 = Add(s, x) o = Neg(s2) }> }""",
    "convolution": """<ir_version: 8, opset_import: ["": 13]>
        agraph (float[B, 1, 6, 6] x, float[1, 1, 3, 3] w) => (float[B, 1, R, C] y)
        <float[1] g = {2.0}, float[1] o = {0.5}, float[1] m = {0.1}, float[1] v = {1.5}, int64[4] s = {0, 1, -1, 6}> {
            a = Conv <pads = [1, 1, 1, 1], kernel_shape = [3, 3]> (x, w)
            b = BatchNormalization <epsilon = 0.001> (a, g, o, m, v) c = Relu(b)
            d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c) e = Transpose <perm = [0, 1, 3, 2]> (d)
            f = Transpose <perm = [0, 1, 3, 2]> (e) z = Cast <to = 1> (f) y = Add(z, o) }""",
    "quantized": """<ir_version: 8, opset_import: ["": 13]>
        agraph (float[N, 2] x) => (float[N, 2] y)
        <float sx = {0.1}, uint8 zx = {128}, int8[2, 2] w = {1, -2, 3, 4}, float[2] sw = {0.1, 0.2},
         int8[2] zw = {0, 0}> {
            a = QuantizeLinear(x, sx, zx) b = DequantizeLinear(a, sx, zx)
            c = DequantizeLinear <axis = 1> (w, sw, zw) d = MatMul(b, c) y = Softmax <axis = -1> (d) }""",
}


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench corruption")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new cases after so long")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + given.cases)
    failures = hunt(seeds, jobs=given.jobs, seconds=given.seconds)
    if failures:
        sys.exit(1)


def hunt(seeds: Sequence[int], *, jobs: int = 1, seconds: float = float("inf")) -> list[str]:
    """Try them and print what came of it. Returns the failures."""
    begun, counts, failures = time.monotonic(), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory(prefix="graphopt-corruption-") as folder:
        prepare()
        case = functools.partial(outcome, Path(folder))
        for seed, told in results(case, seeds, Limits(), jobs=jobs, until=begun + seconds):
            said = told if told.startswith((*FINE, "failed")) else by_command(Path(folder), seed, told)
            kind = said.partition(":")[0]
            counts[kind] += 1
            if kind not in FINE:
                failures.append(f"seed {seed} ({source(seed)[0]}): {said}")
                print(failures[-1], flush=True)
            if counts.total() % _NEWS == 0:
                print(f"... {counts.total():,} cases, up to seed {seed}", flush=True)
    each = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    print(f"{sum(counts.values()):,} cases in {time.monotonic() - begun:.0f} s: {each or 'none'}")
    return failures


def prepare() -> None:
    """Import everything before there are children."""
    import onnxruntime

    for name in ("graphopt.api", "onnx.checker", "passes"):
        importlib.import_module(name)
    program()
    onnxruntime.set_default_logger_severity(4)


@functools.cache
def models() -> list[tuple[str, Path | str]]:
    """Names, and files or texts, the smallest first."""
    files = sorted((*CORPUS.glob("nets/*.onnx"), *CORPUS.glob("graphs/*.onnx")), key=lambda path: path.stat().st_size)
    return [*SMALL.items(), *((path.name, path) for path in files)]


@functools.lru_cache(16)
def _content(index: int) -> bytes:
    import onnx.parser

    model = models()[index][1]
    return model.read_bytes() if isinstance(model, Path) else onnx.parser.parse_model(model).SerializeToString()


def source(seed: int) -> tuple[str, bytes]:
    """The model of a case: its name, and what the damaged file holds."""
    rng = random.Random(seed)
    index = int(len(models()) * rng.random() ** 3) if rng.random() < 0.6 else rng.randrange(len(SMALL))
    return models()[index][0], damaged(_content(index), rng)


def outcome(folder: Path, seed: int) -> str:
    """What the command makes of a case, in this process."""
    from graphopt.numerics import run, worker

    worker.best_runner = lambda _=None: run.InProcess()  # a child may die itself
    path, out = folder / f"{seed}.onnx", folder / f"{seed}.opt.onnx"
    path.write_bytes(source(seed)[1])
    os.chdir(folder)
    with contextlib.ExitStack() as files:
        for made in (path, out):
            files.callback(made.unlink, missing_ok=True)
        try:
            code, stdout, stderr = called("optimize", path.name, "-o", out.name, "--no-cache")
        except Exception as error:
            return f"failed: {''.join(traceback.format_exception(error)[-3:])}"
        return judged(code, stdout, stderr, path, out)


def called(*arguments: str) -> tuple[int, str, str]:
    """The exit code of the program in this process, and what it prints. Raises what it does not catch itself."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            program()(arguments, prog_name="graphopt")
        except SystemExit as end:
            return int(end.code or 0), stdout.getvalue(), stderr.getvalue()
    raise AssertionError(arguments)  # a command ends with its exit code


@functools.cache
def program() -> Callable[..., None]:
    """The program's commands, which take longer to put together than most cases do to run."""
    import typer

    from graphopt.cli.app import application

    return typer.main.get_command(application())


def judged(code: int, stdout: str, stderr: str, path: Path, out: Path) -> str:
    """What an exit code and the words with it are worth."""
    if code == 2 and not out.exists() and stderr.startswith("graphopt: ") and "\n" not in stderr.strip():
        return "failed: memory" if "not enough memory" in stderr else f"refused: {stderr.strip()}"
    if code != 0 or not out.exists():
        return f"failed: exit code {code}: {stderr.strip()[-500:] or stdout[-500:]}"
    new = complaint(out)
    return f"failed: the result is invalid: {new}" if new and not complaint(path) else "compiled"


def complaint(path: Path) -> str:
    """What onnx has to say against a model; "" if nothing."""
    import onnx

    from graphopt.target.target import UNOFFICIAL

    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:
        known = any(f"No Op registered for {op} " in str(error) for op in UNOFFICIAL)
        return "" if known else str(error).strip()[:300] or type(error).__name__
    return ""


def by_command(folder: Path, seed: int, told: str) -> str:
    """What the command makes of a case when it is run as users run it; `told` is how its process died before."""
    path, out = folder / f"{seed}.onnx", folder / f"{seed}.opt.onnx"
    path.write_bytes(source(seed)[1])
    command = [sys.executable, "-m", "graphopt.cli", "optimize", path.name, "-o", out.name, "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1200
        )
    except subprocess.TimeoutExpired:
        return f"hang: also as a command ({told})"
    said = judged(done.returncode, done.stdout, done.stderr, path, out)
    return said if said.startswith(FINE) else f"{said} ({told})"
