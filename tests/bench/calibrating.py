"""What it costs to calibrate, beside running the same pictures: the processor's time, and memory at its peak."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from graphopt.calibration.ranges import ranges
from graphopt.data.batch import Batch
from graphopt.data.source import Data
from graphopt.ir.reader import load
from graphopt.measure import memory
from graphopt.measure.provider import open_session
from tests.bench.quantised import Network, networks

NETWORKS = ("mobilenet-v2", "resnet20")
COUNTS = (200, 1000)
CALIBRATED = frozenset({"Conv", "Relu", "Clip", "Add", "Gemm", "MatMul", "GlobalAveragePool", "AveragePool", "Softmax"})
"""Whose results a quantised network has ranges for, unless one of the next alone reads them."""
CUTTING = frozenset({"Relu", "Clip"})


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
    model, data = load(network.model), network.data(network.calibration)
    made = (tensor for node in model.graph.nodes for tensor in node.outputs if node.op in CALIBRATED)
    wanted = [tensor for tensor in made if {node.op for node in tensor.outputs} - CUTTING or not tensor.outputs]
    for count in counts:
        pictures = Repeated(data, count)
        begin = time.process_time()
        with open_session(network.model, threads=1) as session:
            for batch in pictures.batches():
                session.run(batch.feeds)
        ran = time.process_time() - begin
        memory.forget_peak()
        before, begin = memory.held(), time.process_time()
        ranges(model, pictures, wanted, samples=None, threads=1)
        spent, most = time.process_time() - begin, (memory.peak() - before) / 1e6
        print(f"| {title} | {count:,} | {ran:.1f} | {spent:.1f} | {spent / ran:.2f} | {most:.0f} |", flush=True)
