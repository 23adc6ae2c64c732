"""Builds that are killed at random moments, and two that build the same: nothing corrupt, nothing lost.

`python -m tests.bench.kill [TRIES]`: each try runs `graphopt optimize` on models/digits.onnx, kills it (SIGKILL) after
a random part of the time that it takes, and looks: OUT is absent or whole, what was there before is there still, and
the next build, with the cache that the killed one left, gives the same bytes as a build without any.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "digits.onnx"


def command(out: Path, *options: str) -> list[str]:
    """A build that writes its weights into a file of their own, so that two files must agree."""
    build = [sys.executable, "-m", "graphopt.cli", "optimize", str(MODEL), "-o", str(out), "--external-data", "--quiet"]
    return [*build, "--passes=clean,fuse", *options]


def started(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    """A build in a process of its own, with the cache of the folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GRAPHOPT_CACHE": str(folder / "cache")}
    return subprocess.Popen(command(folder / name, *options), env=environment, start_new_session=True)


def built(folder: Path, name: str, *options: str) -> bytes:
    """What a build writes. Raises AssertionError if it fails."""
    assert started(folder, name, *options).wait() == 0
    return content(folder / name)


def content(out: Path) -> bytes:
    """Everything that the model at `out` says, weights among it; it must be whole."""
    import onnx

    onnx.checker.check_model(str(out), full_check=True)
    return bytes(onnx.load(out).SerializeToString(deterministic=True))


def killed(folder: Path, name: str, after: float) -> bool:
    """Start a build and kill it after so many seconds; whether it was still running."""
    process = started(folder, name)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def main(tries: int = 30, seed: int = 0) -> None:
    """Try it, and print what came of it."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="graphopt-kill-") as path:
        folder = Path(path)
        begun = time.perf_counter()
        expected = built(folder, "expected.onnx", "--no-cache")
        lasts = time.perf_counter() - begun
        stopped = present = 0
        for attempt in range(tries):
            for entry in (folder / "cache").glob("entries/*/*/manifest.json"):
                entry.write_text("{}")  # the next build has to do it all again, and to replace the entry
            out = folder / f"out{attempt % 3}.onnx"
            before = out.exists()
            stopped += killed(folder, out.name, rng.uniform(0.0, lasts))
            present += out.exists()
            assert out.exists() or not before, "the model that was there is lost"
            assert not out.exists() or content(out) == expected, "the model that is there is wrong"
            begun = time.perf_counter()
            assert built(folder, "after.onnx") == expected, "the build after it gives something else"
            lasts = time.perf_counter() - begun
        pair = [started(folder, "both.onnx") for _ in range(2)]
        assert [process.wait() for process in pair] == [0, 0]
        assert content(folder / "both.onnx") == expected
        left = sum(1 for _ in (folder / "cache" / "work").iterdir())
    print(f"{tries} tries: {stopped} killed, {present} times a model was there, always whole; {left} folders left over")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
