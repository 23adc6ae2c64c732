"""A decoder of 1.1 billion float32 parameters through the default pipeline, beside a mere copy of its files.

Turn by turn; both write through to the disk (`fsync`), and both find nothing else waiting to be written and the source
in memory. Peaks are as in the table of sizes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from tests.bench import generate
from tests.bench.scale import Compiled, compiled

ROUNDS = 3
_PIECE = 1 << 24


def main() -> None:
    copies, compiles = list[float](), list[Compiled]()
    with tempfile.TemporaryDirectory(prefix="graphopt-memory-") as name:
        folder = Path(name)
        source = generate.decoder(folder)
        data = source.with_suffix(".data")
        gigabytes = data.stat().st_size / 1e9
        for _ in range(ROUNDS):
            settle(data)
            copies.append(copied(data, folder / "copy"))
            (folder / "copy").unlink()
            settle(data)
            compiles.append(compiled(source, folder / "out.onnx"))
            for made in folder.glob("out.*"):
                made.unlink()
    copy, seconds = statistics.median(copies), statistics.median(one.seconds for one in compiles)
    ratio = statistics.median(one.seconds / beside for one, beside in zip(compiles, copies, strict=True))
    first = compiles[0]
    print("| GB | nodes | left | copying, s | compiling, s | ratio | peak MB | reference runs, MB | whole model |")
    print("|---|---|---|---|---|---|---|---|---|")
    peak, reference = max(one.peak for one in compiles), max(one.reference for one in compiles)
    print(
        f"| {gigabytes:.2f} | {first.before} | {first.after} | {copy:.2f} | {seconds:.2f} | {ratio:.2f} | {peak:.0f} "
        f"| {reference:.0f} | {first.whole} |"
    )
    print(f"\neach round: copying {_all(copies)}; compiling {_all([one.seconds for one in compiles])}")


def settle(source: Path) -> None:
    """Have everything written that waits for it, and the source in memory."""
    os.sync()
    with source.open("rb", buffering=0) as file:
        while file.read(_PIECE):
            pass


def copied(source: Path, target: Path) -> float:
    """The seconds that a copy takes until it is on the disk."""
    begun = time.perf_counter()
    shutil.copyfile(source, target)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - begun


def _all(seconds: list[float]) -> str:
    return ", ".join(f"{one:.2f}" for one in seconds)
