"""The project's own measurements: `python -m tests.bench [counts|exports|scale|...]...`.

Every table in the README comes from here. Peers are optimisers installed by `pip install --group bench`; a peer that
is not installed is left out and said to be. Times are medians of runs that alternate between all contenders;
latencies of models are measured as `graphopt bench` does.

`python -m tests.bench latency [OPTIONS]` times large networks beside all tools, in as many pieces as one likes.
`python -m tests.bench speed --only WORD...` and `--profile` measure or explain single files, and
`python -m tests.bench quantised NETWORK...` compares some networks.
`python -m tests.bench corruption [OPTIONS]` and the other hunts look for faults until they are told to stop; each
ends with exit code 1 if it finds something. All of these have options of their own (--help) and run alone.
"""

from __future__ import annotations

import argparse
import sys

from tests.bench import (
    calibrating,
    conformance,
    corpus_latency,
    corruption,
    counts,
    distillation,
    exports,
    faults,
    groups,
    latency,
    memory,
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
    wide_layers,
)

TABLES = {
    "counts": counts.main,
    "exports": exports.main,
    "conformance": conformance.main,
    "scale": scale.main,
    "memory": memory.main,
    "speed": speed.main,
    "corpus_latency": corpus_latency.main,
    "quantised": quantised.main,
    "calibrating": calibrating.main,
    "steadiness": steadiness.main,
    "groups": groups.main,
    "pruning": pruning.main,
    "wide_layers": wide_layers.main,
    **{f"pruning_{name}": part for name, part in pruning.PARTS.items()},
    "distillation": distillation.main,
    "skip_norm": skip_norm.main,
    "quantised_speed": quantised_speed.main,
    "quantised_transformers": quantised_transformers.main,
    **{f"quantised_transformers_{name}": part for name, part in quantised_transformers.PARTS.items()},
}
QUICK = ("counts", "exports", "conformance", "scale")
ALONE = {
    "latency": latency.main,
    "corruption": corruption.main,
    "random": random_models.main,
    "mutations": mutations.main,
    "faults": faults.main,
    "speed": speed.main,
    "quantised": quantised.main,
}


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in ALONE:
        ALONE[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], default=[], help=f"default: {' '.join(QUICK)}")
    for name in parser.parse_args().tables or QUICK:
        print(f"\n## {name}\n", flush=True)
        TABLES[name]()


if __name__ == "__main__":
    main()
