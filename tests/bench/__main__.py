"""The project's own measurements: `python -m tests.bench [counts|exports|scale|...]...`.

Every table in the README comes from here. Peers are optimisers installed by `pip install --group bench`; a peer that
is not installed is left out and said to be. Times are medians of runs that alternate between all contenders;
latencies of models are measured as `graphopt bench` does.

`python -m tests.bench corruption [OPTIONS]` and the other hunts look for faults until they are told to stop; each
has options of its own (--help), runs alone, and ends with exit code 1 if it finds something.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench import (
    conformance,
    corruption,
    counts,
    distillation,
    exports,
    faults,
    groups,
    latency,
    mutations,
    pruning,
    quantised,
    quantised_speed,
    quantised_transformers,
    random_models,
    scale,
    skip_norm,
    speed,
    steadiness,
)

TABLES = {
    "counts": counts.main,
    "exports": exports.main,
    "conformance": conformance.main,
    "scale": scale.main,
    "speed": speed.main,
    "latency": latency.main,
    "quantised": quantised.main,
    "steadiness": steadiness.main,
    "groups": groups.main,
    "pruning": pruning.main,
    "distillation": distillation.main,
    "skip_norm": skip_norm.main,
    "quantised_speed": quantised_speed.main,
    "quantised_transformers": quantised_transformers.main,
}
QUICK = ("counts", "exports", "conformance", "scale")
HUNTS = {
    "corruption": corruption.main,
    "random": random_models.main,
    "mutations": mutations.main,
    "faults": faults.main,
}


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in HUNTS:
        HUNTS[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], default=[], help=f"default: {' '.join(QUICK)}")
    for name in parser.parse_args().tables or QUICK:
        print(f"\n## {name}\n", flush=True)
        TABLES[name]()


if __name__ == "__main__":
    main()
