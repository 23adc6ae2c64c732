"""How much faster networks run after the default pipeline: ratios of latencies, with their intervals."""

from __future__ import annotations

import tempfile
from pathlib import Path

import graphopt
from graphopt.report.bench_text import duration, spelled
from tests.corpus.files import inputs, models

SECONDS = 20.0


def main() -> None:
    """A row for each network of the corpus, as it is published and optimised."""
    paths = [path for path in models() if path.parent.name == "nets"]
    if not paths:
        print("the corpus of real networks is not beside the checkout")
        return
    print("| file | p50 | optimised | times as fast | |\n|---|---|---|---|---|")
    faster = slower = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            target = Path(folder) / path.name
            graphopt.optimize(path, feeds=inputs(path)).model.save(target)
            found = graphopt.bench([path, target], feeds=inputs(path), threads=[1], seconds=SECONDS)
            before, after = found.results
            faster += after.ratio.high < 1
            slower += after.ratio.low > 1
            words = "beyond noise" if after.ratio.differs else "no difference beyond noise"
            times = (duration(before.latency.p50), duration(after.latency.p50), spelled(after.ratio.inverse), words)
            print("| " + " | ".join((path.name, *times)) + " |", flush=True)
    print(f"\n{len(paths)} networks: {faster} faster, {slower} slower, beyond noise.")
