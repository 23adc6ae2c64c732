"""Faults of the machine: whatever happens while a model is written, the old output is whole or the new one is.

`python -m tests.bench faults [--tries N] [--seconds S]`: builds that are killed (SIGKILL), or interrupted (Ctrl-C), at
random moments; builds of one output at the same time; builds whose files may not grow beyond a size, as on a full
disk; a folder that vanishes, and an input that changes, at a random moment. After every one the input is what it was,
the output is absent or loads and is one of those that were asked for, and where the build ended by itself nothing
else is left in the folder.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.kill import MODEL, ROOT, content

CLEAN_EXITS = (0, 1, 2, 3, 130)
OUT = "out.onnx"


@dataclass(frozen=True)
class Place:
    """A folder with an input, and what a build with each set of passes writes there (all of it lasts `seconds`)."""

    folder: Path
    expected: frozenset[bytes]
    seconds: float

    @property
    def model(self) -> Path:
        return self.folder / "in" / "m.onnx"

    @property
    def out(self) -> Path:
        return self.folder / "out" / OUT


Deed = Callable[[Place, random.Random], int]
"""Lets something happen to a build; the exit code of the build."""


def started(place: Place, passes: str = "clean,fuse", limit: int | None = None) -> subprocess.Popen[bytes]:
    """A build in a process of its own, whose files may have `limit` bytes."""
    command = [sys.executable, "-m", "graphopt.cli", "optimize", str(place.model), "-o", str(place.out), "--quiet"]
    command += ["--external-data", "--no-cache", "--verify=structure", f"--passes={passes}"]
    if limit is not None:
        command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "build", *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def prepared(folder: Path) -> Place:
    """The folder with the input, after a build of each kind."""
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    begun, found = time.perf_counter(), []
    place = Place(folder, frozenset(), 0.0)
    shutil.copy(MODEL, place.model)
    for passes in ("clean,fuse", "clean"):
        assert started(place, passes).wait() == 0
        found.append(content(place.out))
    return Place(folder, frozenset(found), (time.perf_counter() - begun) / 2)


def _signalled(number: signal.Signals) -> Deed:
    def deed(place: Place, rng: random.Random) -> int:
        build = started(place, rng.choice(("clean,fuse", "clean")))
        try:
            build.wait(rng.uniform(0.3, 1.1) * place.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(build.pid, number)
        return build.wait()

    return deed


def _at_once(place: Place, rng: random.Random) -> int:
    builds = [started(place, passes) for passes in ("clean,fuse", "clean")]
    time.sleep(rng.uniform(0, 0.2))
    return max(build.wait() for build in builds)


def _full_disk(place: Place, rng: random.Random) -> int:
    return started(place, limit=rng.choice((0, 1, 8, 100, 200))).wait()


def _vanishing(place: Place, rng: random.Random) -> int:
    build = started(place)
    time.sleep(rng.uniform(0.3, 1.1) * place.seconds)
    gone = place.folder / "gone"
    place.out.parent.rename(gone)
    code = build.wait()
    if not place.out.parent.exists():
        gone.rename(place.out.parent)
    shutil.rmtree(gone, ignore_errors=True)
    return code


def _changing(place: Place, rng: random.Random) -> int:
    """The input is replaced by a damaged one and comes back; what is then written, if anything, must be readable."""
    whole = place.model.read_bytes()
    build = started(place)
    time.sleep(rng.uniform(0.3, 1.0) * place.seconds)
    other = place.model.with_name("other")
    other.write_bytes(whole[: rng.randrange(len(whole))])
    other.replace(place.model)
    code = build.wait()
    place.model.write_bytes(whole)
    return code


DEEDS: dict[str, Deed] = {
    "killed": _signalled(signal.SIGKILL),
    "interrupted": _signalled(signal.SIGINT),
    "at once": _at_once,
    "full disk": _full_disk,
    "vanishing folder": _vanishing,
    "changing input": _changing,
}


def attempt(place: Place, name: str, rng: random.Random) -> tuple[int, str]:
    """The exit code of a build to which the deed `name` happens, and what is wrong afterwards, "" if nothing."""
    whole = place.model.read_bytes()
    code = DEEDS[name](place, rng)
    if place.model.read_bytes() != whole:
        return code, "the input has changed"
    if name != "vanishing folder" and not place.out.exists():
        return code, "the output that was there is lost"
    if place.out.exists() and content(place.out) not in place.expected:
        return code, "the output is none that was asked for"
    left = {path.name for path in place.out.parent.iterdir()} - {OUT, f"{OUT}.data"}
    if code < 0:
        for leftover in left:  # a process that is killed cannot tidy up
            (place.out.parent / leftover).unlink()
    elif left:
        return code, f"left behind: {sorted(left)}"
    return code, "" if code in CLEAN_EXITS or code < 0 else f"exit code {code}"


def main(arguments: Sequence[str] = ()) -> None:
    """Try it, and print what came of it. Exit code 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench faults")
    parser.add_argument("--tries", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new tries after so long")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background of a shell would hand down none
    rng, begun, failures = random.Random(given.seed), time.monotonic(), 0
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="graphopt-faults-") as folder:
        place = prepared(Path(folder))
        for number in range(given.tries):
            if time.monotonic() - begun > given.seconds:
                break
            name = list(DEEDS)[number % len(DEEDS)]
            code, wrong = attempt(place, name, rng)
            counts[f"{name}: exit {code}"] += 1
            if wrong:
                failures += 1
                print(f"try {number}, {name}, exit code {code}: {wrong}", flush=True)
    for said, count in sorted(counts.items()):
        print(f"{count:5}  {said}")
    print(f"{counts.total()} tries, {failures} failures")
    if failures:
        sys.exit(1)
