"""Whole-process time of optimising a file, beside other optimisers: medians of alternating runs."""

from __future__ import annotations

import importlib.util
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.corpus.files import models

RUNS = 3
LIMIT_S = 120

TOOLS = {
    "graphopt": "import sys, graphopt; graphopt.optimize(sys.argv[1]).model.save(sys.argv[2])",
    "onnxslim": "import sys, onnxslim; onnxslim.slim(sys.argv[1], sys.argv[2])",
    "onnxsim": "import sys, onnx, onnxsim; onnx.save(onnxsim.simplify(onnx.load(sys.argv[1]))[0], sys.argv[2])",
    "onnxscript": "import sys, onnx, onnxscript.optimizer as o; "
    "onnx.save(o.optimize(onnx.load(sys.argv[1])), sys.argv[2])",
}


def seconds(tool: str, source: Path, target: Path) -> float | None:
    """Time of one process; None if it fails or takes too long."""
    started = time.perf_counter()
    command = [sys.executable, "-c", TOOLS[tool], str(source), str(target)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return None
    return time.perf_counter() - started if done.returncode == 0 else None


def main() -> None:
    tools = [tool for tool in TOOLS if importlib.util.find_spec(tool)]
    absent = [tool for tool in TOOLS if tool not in tools]
    if absent:
        print(f"not installed, so not compared: {', '.join(absent)}\n")
    print("| file | " + " | ".join(f"{tool} s" for tool in tools) + " | ratio to the fastest peer |")
    print("|---" * (len(tools) + 2) + "|")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for path in models():
            times: dict[str, list[float | None]] = {tool: [] for tool in tools}
            for _ in range(RUNS):
                for tool in tools:
                    times[tool].append(seconds(tool, path, Path(folder) / "out.onnx"))
            medians = {tool: _median(runs) for tool, runs in times.items()}
            rivals = [value for tool, value in medians.items() if tool != "graphopt" and value is not None]
            own = medians["graphopt"]
            ratio = own / min(rivals) if own is not None and rivals else None
            ratios += [ratio] if ratio is not None else []
            cells = ["failed" if medians[tool] is None else f"{medians[tool]:.2f}" for tool in tools]
            print(
                f"| {path.name} | " + " | ".join(cells) + f" | {'' if ratio is None else f'{ratio:.2f}'} |", flush=True
            )
    if ratios:
        print(f"\ngeometric mean of the ratios: {math.exp(statistics.fmean(map(math.log, ratios))):.2f}")


def _median(runs: list[float | None]) -> float | None:
    finite = [value for value in runs if value is not None]
    return statistics.median(finite) if len(finite) == len(runs) else None
