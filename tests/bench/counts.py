"""Top-level node counts after the default pipeline, beside what other optimisers reach (peers.json of the corpus)."""

from __future__ import annotations

import graphopt
from tests.corpus.files import PEERS, best, inputs, models, peers


def main() -> None:
    if not models():
        print("the corpus of real networks is not beside the checkout")
        return
    table = peers()
    print("| file | nodes | graphopt | " + " | ".join(PEERS) + " | whole model | at most the best |")
    print("|---|---|---|" + "---|" * len(PEERS) + "---|---|")
    worse = 0
    for path in models():
        report = graphopt.optimize(path, feeds=inputs(path)).report
        counts = table[path.name]
        fine = report.after.nodes <= best(counts)
        worse += not fine
        cells = [str(counts.get(tool) or "failed") for tool in PEERS]
        row = [path.name, str(report.before.nodes), str(report.after.nodes), *cells, str(report.whole.status)]
        print("| " + " | ".join([*row, "yes" if fine else "NO"]) + " |", flush=True)
    print(f"\n{len(models())} files; above the best of {', '.join(PEERS)} on {worse}.")
