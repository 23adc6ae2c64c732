"""Time and memory of the default pipeline on generated graphs of growing size; each run is a process of its own.

Peaks are of physical memory: of the process itself, mapped files among it, and of the one for reference runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import onnx

from tests.bench import full_size, generate

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
children = resource.getrusage(resource.RUSAGE_CHILDREN)
report = result.report
print(json.dumps({
    "seconds": seconds, "processor": time.process_time(), "peak": peak() / 1e6,
    "reference": children.ru_maxrss * 1024 / 1e6, "before": report.before.nodes, "after": report.after.nodes,
    "whole": report.whole.status,
}))
"""


class Compiled(NamedTuple):
    """One run. seconds: from the first import to the file, by the clock and of this process's processor time;
    peak, reference: MB of the process and of the one for reference runs; before, after: nodes; whole: the verdict."""

    seconds: float
    processor: float
    peak: float
    reference: float
    before: int
    after: int
    whole: str


def compiled(source: Path, target: Path) -> Compiled:
    """The default pipeline in a process of its own."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, source, target], check=True, capture_output=True, text=True)
    return Compiled(**json.loads(done.stdout))


def main() -> None:
    print("| graph | nodes | left | s | processor, s | per node, us | peak MB | reference runs, MB | whole model |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.onnx", Path(folder) / "out.onnx"
        for kind, model in _graphs():
            source.write_bytes(model.SerializeToString())
            made = compiled(source, target)
            print(
                f"| {kind} | {made.before} | {made.after} | {made.seconds:.2f} | {made.processor:.2f} "
                f"| {made.processor / made.before * 1e6:.0f} | {made.peak:.0f} | {made.reference:.0f} "
                f"| {made.whole} |",
                flush=True,
            )


def _graphs() -> Iterator[tuple[str, onnx.ModelProto]]:
    """What is measured: a narrow BERT with 12 layers and a pooler, free batch and sequence, and graphs without end."""
    yield "BERT", full_size.bert_base(layers=12, width=64, heads=4, words=1000)
    for kind in KINDS:
        for size in SIZES:
            yield kind, getattr(generate, kind)(size)
