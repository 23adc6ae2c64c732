"""Memory does not grow with the number of samples: ten times as many take within 5 % of the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support import proto

ROOT = Path(__file__).parents[2]
EVALUATE = """
import json, sys
from pathlib import Path
from graphopt.data.opening import open_data
from graphopt.measure.evaluate import evaluate

model, data, preprocess = sys.argv[1:]
held = open_data(data, model, preprocess=preprocess or None)
done = evaluate(model, held, ["top1", "top5"], threads=1, batch=16)
line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
print(json.dumps({"peak": int(line.split()[1]), "samples": done.samples}))
"""
MODEL = """
agraph (float[n, 3, side, side] image) => (float[n, 10] y) {
    means = ReduceMean <keepdims = 0> (image, axes)
    y = MatMul(means, w)
}
"""
WEIGHTS = {"axes": np.array([2, 3]), "w": np.ones((3, 10), np.float32)}
SIZES = (100, 1000)


def peak(model: Path, data: Path, preprocess: str = "") -> int:
    """Kilobytes that a process has at most while it evaluates."""
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, *map(str, (model, data)), preprocess],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return int(json.loads(done.stdout)["peak"])


def packed(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    path = folder / f"{count}.npz"
    np.savez_compressed(path, image=rng.random((count, 3, 32, 32), np.float32), label=np.arange(count) % 10)
    return path


def bytes_of_pictures(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    path = folder / f"{count}.npz"
    np.savez(path, x=rng.integers(256, size=(4 * count, 64, 64, 3), dtype=np.uint8), y=np.arange(4 * count) % 10)
    return path


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak")
@pytest.mark.parametrize(("write", "preprocess"), [(packed, ""), (bytes_of_pictures, "unit")])
def test_ten_times_as_many_samples_take_no_more_memory(tmp_path, write, preprocess):
    model = tmp_path / "m.onnx"
    onnx.save(proto(MODEL, WEIGHTS), model)
    few, many = (peak(model, write(tmp_path, count), preprocess) for count in SIZES)
    assert many < 1.05 * few
