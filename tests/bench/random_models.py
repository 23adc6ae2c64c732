"""Random models through every pass and random pipelines: never wrong, idempotent, deterministic, and none grows.

`python -m tests.bench random [--cases N] [--seconds S] [--first SEED] [--jobs J]`: case by case, a model and a pipeline
are drawn from a seed (by `tests.laws.random_graphs`), and put to the laws that `tests.laws.test_random_graphs` states
for a few of them, with everything verified. Each failure is shown with its seed, and with the smallest model that
was found to fail in the same way, which lies in the folder of --keep; `--hashes` gives the digest of each result
instead, to compare runs under different PYTHONHASHSEEDs.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import random
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import onnx.printer

import graphopt
from tests.bench.pool import Limits, results
from tests.bench.shrink import shrunk
from tests.laws.random_graphs import Case, random_model
from tests.laws.test_random_graphs import fault, optimized, random_pipeline

FINE = "fine"
TARGETS = ("ort", "ort", "ort", "cpu", "portable", "cuda")
MOST_TEXT = 4000


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench random")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new cases after so long")
    parser.add_argument("--first", "--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()), help="folder for failing models")
    parser.add_argument("--hashes", action="store_true", help="only print the digests of what comes out")
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + given.cases)
    given.keep.mkdir(parents=True, exist_ok=True)
    try_one: Callable[[int], str] = digest if given.hashes else functools.partial(outcome, given.keep)
    begun, counts = time.monotonic(), Counter[str]()
    limits = Limits(seconds=300, memory=6 << 30)
    for seed, told in results(try_one, seeds, limits, jobs=given.jobs, until=begun + given.seconds):
        counts["fine" if told == FINE or given.hashes else "failed"] += 1
        if told != FINE:
            print(f"seed {seed}: {told}", flush=True)
    each = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    print(f"{counts.total():,} models in {time.monotonic() - begun:.0f} s: {each or 'none'}")
    if counts["failed"]:
        sys.exit(1)


def pipeline(seed: int, case: Case) -> tuple[str | None, str]:
    """The passes (None: the default ones) and the target of a case."""
    rng = random.Random(~seed)
    version = next(one.version for one in case.model.opset_import if not one.domain)
    return (None if rng.random() < 0.5 else random_pipeline(seed, version)), rng.choice(TARGETS)


def outcome(folder: Path, seed: int) -> str:
    """What is wrong with a case, and the smallest model that shows it."""
    case = random_model(seed)
    passes, target = pipeline(seed, case)
    said = broken(case, passes, target)
    if not said:
        return FINE
    kind = alike(said)
    small = shrunk(case, lambda one: alike(broken(one, passes, target)) == kind)
    path = folder / f"random-{seed}.onnx"
    onnx.save(small.model, path)
    text = onnx.printer.to_text(small.model)[:MOST_TEXT]
    return f"{passes or 'default'} for {target}: {said}\n{path}:\n{text}\n{broken(small, passes, target)}"


def broken(case: Case, passes: str | None, target: str) -> str:
    """Which law a case breaks, and how; "" if none."""
    try:
        result = optimized(case.model, passes, "region", target)
        return fault(case, passes, result) or unsettled(case, passes, target, result)
    except graphopt.UsageError as refused:
        return "" if "opset" in (passes or "") else f"refused: {refused}"
    except Exception as error:
        return f"raised {type(error).__name__}: {error} {traceback.format_exc(limit=-2)}"


def unsettled(case: Case, passes: str | None, target: str, result: graphopt.Result) -> str:
    """How a second run differs from the first, and the default pipeline run on its own result from doing nothing.

    The first was verified and the second is not, which makes no difference where nothing was undone.
    """
    if "opset" in (passes or ""):
        return ""
    undone = bool(result.report.rolled_back)
    first = _result(case.model, passes, target) if undone else _content(result)
    if _result(case.model, passes, target) != first:
        return "a second run of the same model gives another one"
    if passes is not None:
        return ""
    again = optimized(onnx.load_from_string(first), passes, "structure", target)
    if _content(again) != first:
        return f"a run on the result changes it: {', '.join(again.report.hits) or 'no rewrite'}"
    return ""


def _content(result: graphopt.Result) -> bytes:
    return result.model.to_proto().SerializeToString()


def _result(model: onnx.ModelProto, passes: str | None, target: str) -> bytes:
    return _content(optimized(model, passes, "structure", target))


def alike(said: str) -> str:
    """A complaint without numbers and names."""
    return re.sub(r" at .*|\d+|raised (\w+).*", r"\1", said, flags=re.DOTALL)[:60]


def digest(seed: int) -> str:
    """Of the model that comes out of a case."""
    case = random_model(seed)
    passes, target = pipeline(seed, case)
    try:
        made = _result(case.model, passes, target)
    except Exception as error:
        made = type(error).__name__.encode()
    return f"{hashlib.sha256(case.model.SerializeToString()).hexdigest()[:8]} {hashlib.sha256(made).hexdigest()[:16]}"
