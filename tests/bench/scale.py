"""Time and memory of the default pipeline on generated graphs of growing size; each run is a process of its own.

Peaks are of physical memory: of the process itself, mapped files among it, and of the one for reference runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import generate

KINDS = ("chain", "fan", "tower")
SIZES = (1_000, 10_000, 100_000)

PROGRAM = """
import json, resource, sys, time
started = time.perf_counter()
import graphopt
result = graphopt.optimize(sys.argv[1])
result.model.save(sys.argv[2])
seconds = time.perf_counter() - started
from graphopt.measure.memory import peak
reference = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
report = result.report
print(json.dumps([seconds, peak(), reference, report.before.nodes, report.after.nodes, report.whole.status]))
"""


def compiled(source: Path, target: Path) -> tuple[float, float, float, int, int, str]:
    """Seconds, peaks in MB of the two processes, nodes before and after, and what is said of the whole."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, source, target], check=True, capture_output=True, text=True)
    seconds, peak, reference, before, after, whole = json.loads(done.stdout)
    return seconds, peak / 1e6, reference / 1e6, before, after, whole


def main() -> None:
    print("| graph | nodes | left | seconds | microseconds per node | peak MB | reference runs, MB | whole model |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        for kind in KINDS:
            for size in SIZES:
                source.write_bytes(getattr(generate, kind)(size).SerializeToString())
                seconds, peak, reference, before, after, whole = compiled(source, target)
                per_node = seconds / before * 1e6
                print(
                    f"| {kind} | {before} | {after} | {seconds:.2f} | {per_node:.0f} | {peak:.0f} | {reference:.0f} "
                    f"| {whole} |",
                    flush=True,
                )
