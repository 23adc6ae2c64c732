"""Top-level node counts after the default pipeline, beside what other optimisers reach (peers.json of the corpus).

The bar is the best of all of them, on any export of the same network: NAME.ts.onnx and NAME.dynamo.onnx are one.
Where the default target misses it, the other targets have a try: some peers count on a provider of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import graphopt
from tests.corpus.files import ALL_PEERS, inputs, models, network_best, peers

ELSEWHERE = ("cpu", "cuda")


def main() -> None:
    if not models():
        print("the corpus of real networks is not beside the checkout")
        return
    table = peers()
    print("| file | nodes | graphopt | " + " | ".join(ALL_PEERS) + " | best of the network | whole model | reached |")
    print("|---|---|---|" + "---|" * len(ALL_PEERS) + "---|---|---|")
    missed = [path.name for path in models() if not _row(path, table)]
    print(f"\n{len(models())} files; the best of {', '.join(ALL_PEERS)} is missed on {len(missed)}: {missed}")


def _row(path: Path, table: Mapping[str, Mapping[str, int | None]]) -> bool:
    """Print the row of a file; whether its bar is reached."""
    report = graphopt.optimize(path, feeds=inputs(path)).report
    counts, bar, after = table[path.name], network_best(path.name, table), report.after.nodes
    reached = "yes" if after <= bar else _elsewhere(path, bar)
    cells = [str(counts.get(tool) or "failed") for tool in ALL_PEERS]
    row = [path.name, str(report.before.nodes), str(after), *cells, str(bar), str(report.whole.status)]
    print("| " + " | ".join([*row, reached or "NO"]) + " |", flush=True)
    return bool(reached)


def _elsewhere(path: Path, bar: int) -> str:
    """The other targets for which the bar is reached, with their counts; empty for none."""
    counts = {target: graphopt.optimize(path, target=target).report.after.nodes for target in ELSEWHERE}
    return ", ".join(f"{target}: {count}" for target, count in counts.items() if count <= bar)
