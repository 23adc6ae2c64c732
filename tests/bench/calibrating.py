"""What it costs to calibrate, beside running the same pictures: the processor's time, and memory at its peak.

Calibrated are the tensors that the pass `quant` asks for, in the network as it has folded it. Both run in batches of
the same size on one thread; rounds alternate, and the ratio is that of medians.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from graphopt.calibration.ranges import ranges
from graphopt.data.batch import Batch
from graphopt.data.source import Data
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Tensor
from graphopt.measure import memory
from graphopt.measure.provider import open_session
from graphopt.pipeline.context import Context
from passes.quant.options import settings
from passes.quant.prepare import prepare
from passes.quant.processor import integers_for
from passes.quant.static import concerned
from passes.quant.units import find
from tests.bench.quantised import Network, networks

NETWORKS = ("mobilenet-v2", "resnet20")
COUNTS = (200, 1000)
ROUNDS = 3


class Repeated:
    """Data, again and again until there are `count` samples."""

    labelled = False

    def __init__(self, data: Data, count: int) -> None:
        self.data, self.count, self.name = data, count, data.name

    def batches(self, size: int | None = None, limit: int | None = None) -> Iterator[Batch]:
        left = min(self.count, limit or self.count)
        while left > 0:
            for batch in self.data.batches(size, left):
                left -= batch.count
                yield batch

    def labels(self) -> Iterator[np.ndarray]:
        return iter(())

    def fingerprint(self) -> str:
        return f"{self.data.fingerprint()} {self.count}"


def main() -> None:
    """A row for each network and number of pictures."""
    print("| network | pictures | seconds to run | to calibrate | ratio | MB at most |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        found = networks(Path(name))
        for title in NETWORKS:
            if title in found:
                table(title, found[title])


def table(title: str, network: Network, counts: Sequence[int] = COUNTS) -> None:
    """A row for each number of pictures."""
    data = network.data(network.calibration)
    context = Context(load(network.model))
    asked = settings({"scheme": "static"})
    prepare(context, asked)
    context.editor.flush()
    tensors = concerned(find(context, integers_for(context.target, asked.scheme))[0])
    for count in counts:
        pictures = Repeated(data, count)
        memory.forget_peak()
        before = memory.held()
        took = [(_run(network.model, pictures), _calibrated(context.model, pictures, tensors)) for _ in range(ROUNDS)]
        ran, spent = (statistics.median(times) for times in zip(*took, strict=True))
        most = (memory.peak() - before) / 1e6
        print(f"| {title} | {count:,} | {ran:.2f} | {spent:.2f} | {spent / ran:.2f} | {most:.0f} |", flush=True)


def _run(model: Path, pictures: Repeated) -> float:
    begin = time.process_time()
    with open_session(model, threads=1) as session:
        for batch in pictures.batches():
            session.run(batch.feeds)
    return time.process_time() - begin


def _calibrated(model: Model, pictures: Repeated, tensors: Sequence[Tensor]) -> float:
    begin = time.process_time()
    ranges(model, pictures, tensors, samples=None, threads=1)
    return time.process_time() - begin
