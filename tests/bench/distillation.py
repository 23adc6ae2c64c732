"""Distillation: what pruning and quantisation cost, won back from a few thousand pictures without labels.

    python -m tests.bench distillation

It trains for minutes on all cores. Pictures and network are those of the corpus beside the checkout.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import graphopt
from graphopt.measure.bench import bench
from graphopt.measure.metrics import METRICS
from tests.bench import full_size
from tests.bench.pruning import scored
from tests.corpus.files import ROOT

PREPROCESS = "unit:mean=0.4914+0.4822+0.4465:std=0.247+0.2435+0.2616"
FUSE = "clean,fix(canonical,fold,fuse,clean)"
VIEWS = "augment=flip+crop+mixup:features=3:batch=32"
TRAIN = f"distill:epochs=60:rate=2e-3:{VIEWS}"
TUNE = f"distill:epochs=3:rate=3e-4:{VIEWS}"
NARROW = "prune:only=/l/l.[678]/b1*:ratio=0.5:round_to=16"
PIPELINES = {
    "half of the multiply-adds": f"{FUSE},prune:macs=0.5",
    "half of the multiply-adds, trained": f"{FUSE},prune:macs=0.5,distill:epochs=12:rate=2e-3:{VIEWS}",
    "integers": f"{FUSE},quant",
    "fewer blocks, narrower, trained, integers": f"{FUSE},depth:blocks=2,clean,{NARROW},{TRAIN},"
    f"quant,{TUNE},clean,strip",
}
SPEED_ONLY = f"{FUSE},prune:macs=0.4:round_to=16:importance=l2:allocate=uniform:recover=none,quant"
"""For a network of drawn weights, whose scores mean nothing."""


@dataclass(frozen=True)
class Row:
    """What came of a pipeline: the report's score, how many times smaller and faster, and minutes."""

    name: str
    score: tuple[str, str]
    smaller: float
    faster: float
    minutes: float

    def __str__(self) -> str:
        cells = (self.name, *self.score, f"{self.smaller:.1f}", f"{self.faster:.2f}", f"{self.minutes:.1f}")
        return f"| {' | '.join(cells)} |"


def measured(name: str, model: Path, passes: str, folder: Path, **given: object) -> Row:
    """Run a pipeline on a model, and measure what it gives beside the original, with one thread."""
    begin = time.monotonic()
    result = graphopt.optimize(model, passes=passes, **given)
    minutes = (time.monotonic() - begin) / 60
    out = folder / "out.onnx"
    result.model.save(out)
    times = bench([model, out], data=given["calibration"], batches=(1,), threads=(1,)).results
    score = scored(result) if result.report.evaluation is not None else ("", "")
    return Row(name, score, times[0].file_bytes / times[1].file_bytes, 1 / times[1].ratio.value, minutes)


def cifar(folder: Path) -> None:
    """ResNet-20, with 5,000 pictures to learn from and 2,000 others to be judged by."""
    from graphopt.data.opening import open_data

    model = ROOT / "nets" / "resnet20-cifar10.onnx"
    train, test = (
        open_data(ROOT / "data" / f"cifar10_{part}.npz", model, preprocess=PREPROCESS) for part in ("train5k", "test2k")
    )
    for name, passes in PIPELINES.items():
        given = {"calibration": train, "data": test, "metric": METRICS["top1"]()}
        print(measured(name, model, passes, folder, **given), flush=True)


def large(folder: Path) -> None:
    """ResNet-50 with drawn weights: size and speed."""
    model = folder / "resnet50.onnx"
    model.write_bytes(full_size.resnet50().SerializeToString())
    pictures = np.random.default_rng(0).standard_normal((8, 3, 224, 224)).astype(np.float32)
    np.savez(folder / "pictures.npz", pictures)
    print(measured("ResNet-50", model, SPEED_ONLY, folder, calibration=folder / "pictures.npz"), flush=True)


def main() -> None:
    """All rows."""
    print("## Distillation\n")
    if importlib.util.find_spec("torch") is None or not ROOT.exists():
        print("left out: it needs torch (pip install 'graphopt[torch]') and the corpus beside the checkout")
        return
    print("ResNet-20, CIFAR-10; times smaller and faster than the original, one thread\n")
    print("| pipeline | top-1 | change | smaller | faster | minutes |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cifar(Path(folder))
        large(Path(folder))
