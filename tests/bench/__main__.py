"""The project's own measurements: `python -m tests.bench [counts|exports|scale|...]...`.

Every table in the README comes from here. Peers are optimisers installed by `pip install --group bench`; a peer that
is not installed is left out and said to be. Times are medians of runs that alternate between all contenders;
latencies of models are measured as `graphopt bench` does.
"""

from __future__ import annotations

import argparse

from tests.bench import conformance, counts, exports, latency, scale, speed, steadiness

TABLES = {
    "counts": counts.main,
    "exports": exports.main,
    "conformance": conformance.main,
    "scale": scale.main,
    "speed": speed.main,
    "latency": latency.main,
    "steadiness": steadiness.main,
}
QUICK = ("counts", "exports", "conformance", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], default=[], help=f"default: {' '.join(QUICK)}")
    for name in parser.parse_args().tables or QUICK:
        print(f"\n## {name}\n", flush=True)
        TABLES[name]()


if __name__ == "__main__":
    main()
