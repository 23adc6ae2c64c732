"""Time and memory of the default pipeline on generated graphs of growing size; each run is a process of its own."""

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
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, peak, result.report.before.nodes, result.report.after.nodes, result.report.whole.status]))
"""


def main() -> None:
    print("| graph | nodes | left | seconds | microseconds per node | peak MB | whole model |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        for kind in KINDS:
            for size in SIZES:
                source.write_bytes(getattr(generate, kind)(size).SerializeToString())
                command = [sys.executable, "-c", PROGRAM, str(source), str(target)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds, peak, before, after, whole = json.loads(done.stdout)
                per_node = seconds / before * 1e6
                print(
                    f"| {kind} | {before} | {after} | {seconds:.2f} | {per_node:.0f} | {peak:.0f} | {whole} |",
                    flush=True,
                )
