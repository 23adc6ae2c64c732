"""Whole-process time of optimising a file, beside other optimisers: medians of runs that alternate.

The files are those of the corpus and generated networks of the usual sizes. Every tool starts from compiled bytecode,
as installed packages do. `graphopt` checks every region, `unchecked` only the structure.
"""

from __future__ import annotations

import compileall
import importlib.util
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
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
PROGRAMS = OWN | PEERS


def seconds(tool: str, source: Path, target: Path) -> float | None:
    """Time of one process; None if it fails or takes too long."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    command = [sys.executable, "-c", PROGRAMS[tool], str(source), str(target)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return None
    return time.perf_counter() - started if done.returncode == 0 else None


def main() -> None:
    for package in (graphopt, passes):
        compileall.compile_dir(Path(package.__file__).parent, quiet=1)
    tools = [*OWN, *(peer for peer in PEERS if importlib.util.find_spec(peer))]
    absent = [peer for peer in PEERS if peer not in tools]
    if absent:
        print(f"not installed, so not compared: {', '.join(absent)}\n")
    print("| file | " + " | ".join(f"{tool} s" for tool in tools) + " | to the fastest peer | to unchecked |")
    print("|---" * (len(tools) + 3) + "|")
    with tempfile.TemporaryDirectory() as folder:
        files = [*models(), *full_size.write(Path(folder))]
        rows = [_row(tools, path, Path(folder) / "out.onnx") for path in files]
    for column, what in enumerate(("to the fastest peer", "to unchecked")):
        ratios = [row[column] for row in rows if row[column] is not None]
        if ratios:
            print(f"\ngeometric mean of the ratios {what}: {math.exp(statistics.fmean(map(math.log, ratios))):.2f}")


def _row(tools: Sequence[str], path: Path, target: Path) -> tuple[float | None, float | None]:
    """Measure one file with every tool and print it. The ratios to the fastest peer, and to the unchecked compile."""
    runs: dict[str, list[float | None]] = {tool: [] for tool in tools}
    for _ in range(RUNS):
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
