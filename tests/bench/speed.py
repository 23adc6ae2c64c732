"""Whole-process time of optimising a file, beside other optimisers: medians of runs that alternate.

The files are those of the corpus and generated networks of the usual sizes. Every tool starts from compiled bytecode,
as installed packages do. `graphopt` checks every region, `unchecked` only the structure.

`python -m tests.bench speed --only resnet bert` measures the files in whose names one of these words is;
`--profile` tells where the time of graphopt goes instead.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import graphopt
import passes
from tests.bench import full_size
from tests.corpus.files import models

RUNS = 3
LIMIT_S = 300

OWN = {
    "graphopt": "import sys, graphopt; graphopt.optimize(sys.argv[1]).model.save(sys.argv[2])",
    "unchecked": "import sys, graphopt; graphopt.optimize(sys.argv[1], verify='structure').model.save(sys.argv[2])",
}
PEERS = {
    "onnxslim": "import sys, onnxslim; onnxslim.slim(sys.argv[1], sys.argv[2])",
    "onnxsim": "import sys, onnx, onnxsim; onnx.save(onnxsim.simplify(onnx.load(sys.argv[1]))[0], sys.argv[2])",
    "onnxscript": "import sys, onnx, onnxscript.optimizer as o; "
    "onnx.save(o.optimize(onnx.load(sys.argv[1])), sys.argv[2])",
}
PROFILED = """
import json, sys, time
begun = time.time()
import graphopt
result = graphopt.optimize(sys.argv[1])
optimised = time.time()
result.model.save(sys.argv[2])
steps = [(step.step, step.seconds) for step in result.report.steps]
print(json.dumps([begun, optimised, time.time(), result.report.seconds, steps]))
"""
PROGRAMS = OWN | PEERS


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table. `arguments` choose files, runs, or the profile."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench speed", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="files whose names hold one of these")
    parser.add_argument("--runs", type=int, default=RUNS, help="of each tool on each file")
    parser.add_argument("--profile", action="store_true", help="where the time of graphopt goes")
    chosen = parser.parse_args(arguments)
    for package in (graphopt, passes):
        compileall.compile_dir(Path(package.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        large = full_size.write(Path(folder)) if chosen.only == [""] else []
        files = [path for path in (*models(), *large) if any(word in path.name for word in chosen.only)]
        target = Path(folder) / "out.onnx"
        if chosen.profile:
            for path in files:
                profile(path, target)
        else:
            compare(files, target, chosen.runs)


def seconds(tool: str, source: Path, target: Path) -> float | None:
    """Time of one process; None if it fails or takes too long."""
    started = time.perf_counter()
    command = [sys.executable, "-c", PROGRAMS[tool], str(source), str(target)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False, env=_environment())
    except subprocess.TimeoutExpired:
        return None
    return time.perf_counter() - started if done.returncode == 0 else None


def compare(files: Sequence[Path], target: Path, runs: int) -> None:
    """Print the times of all tools on the files, and the geometric means of the ratios."""
    tools = [*OWN, *(peer for peer in PEERS if importlib.util.find_spec(peer))]
    absent = [peer for peer in PEERS if peer not in tools]
    if absent:
        print(f"not installed, so not compared: {', '.join(absent)}\n")
    print("| file | " + " | ".join(f"{tool} s" for tool in tools) + " | to the fastest peer | to unchecked |")
    print("|---" * (len(tools) + 3) + "|")
    rows = [_row(tools, path, target, runs) for path in files]
    for column, what in enumerate(("to the fastest peer", "to unchecked")):
        ratios = [row[column] for row in rows if row[column] is not None]
        if ratios:
            print(f"\ngeometric mean of the ratios {what}: {math.exp(statistics.fmean(map(math.log, ratios))):.2f}")


def profile(source: Path, target: Path) -> None:
    """Print where the wall time of one process of graphopt goes, from its start to its end."""
    command = [sys.executable, "-c", PROFILED, str(source), str(target)]
    started = time.time()
    done = subprocess.run(command, capture_output=True, check=True, env=_environment(), text=True)
    ended = time.time()
    begun, optimised, saved, compiling, steps = json.loads(done.stdout)
    passes_s: Counter[str] = Counter()
    for step, spent in steps:
        passes_s[step] += spent
    rows = {
        "starting Python": begun - started,
        "imports": optimised - begun - compiling,
        **{f"pass {step}": spent for step, spent in passes_s.most_common()},
        "reading, waiting for checks, comparing the whole": compiling - passes_s.total(),
        "writing": saved - optimised,
        "leaving Python": ended - saved,
    }
    print(f"\n| {source.name} | s |\n|---|---|")
    for what, spent in (*rows.items(), ("all", ended - started)):
        print(f"| {what} | {spent:.3f} |")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _row(tools: Sequence[str], path: Path, target: Path, count: int) -> tuple[float | None, float | None]:
    """Measure one file with every tool and print it. The ratios to the fastest peer, and to the unchecked compile."""
    runs: dict[str, list[float | None]] = {tool: [] for tool in tools}
    for _ in range(count):
        for tool in tools:
            runs[tool].append(seconds(tool, path, target))
    medians = {tool: _median(times) for tool, times in runs.items()}
    rivals = [medians[tool] for tool in tools if tool in PEERS and medians[tool] is not None]
    own, unchecked = medians["graphopt"], medians["unchecked"]
    ratios = (own / min(rivals) if own and rivals else None, own / unchecked if own and unchecked else None)
    cells = ["failed" if medians[tool] is None else f"{medians[tool]:.2f}" for tool in tools]
    cells += ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
    print(f"| {path.name} | " + " | ".join(cells) + " |", flush=True)
    return ratios


def _median(runs: list[float | None]) -> float | None:
    finite = [value for value in runs if value is not None]
    return statistics.median(finite) if len(finite) == len(runs) else None
