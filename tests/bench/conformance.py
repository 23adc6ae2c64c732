"""How many of the onnx package's node cases come through the default pipeline, as published and frozen."""

from __future__ import annotations

from collections import Counter

from tests.conformance.cases import VARIANTS, collect, frozen, judge

VERDICTS = ("right", "wrong", "broken", "refused", "crashed", "skipped")


def main() -> None:
    cases = collect()
    print(f"{len(cases)} cases; skipped are those that ONNX Runtime does not run as published.\n")
    print("| inputs | " + " | ".join(VERDICTS) + " |")
    print("|---" * (len(VERDICTS) + 1) + "|")
    for variant, meaning in VARIANTS.items():
        counts = Counter(judge(frozen(case, variant)).verdict for case in cases)
        print(f"| {meaning} | " + " | ".join(str(counts[verdict]) for verdict in VERDICTS) + " |", flush=True)
