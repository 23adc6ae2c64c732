"""Static quantisation beside other quantisers: accuracy, size and speed, all in one run on the same samples.

Every tool is calibrated on the same samples, which are none of those that are scored. Speed is the ratio of medians of
the time that one thread computes, over runs that alternate between all files; above 1 graphopt's is faster.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import graphopt
from graphopt.calibration.ranges import ranges
from graphopt.data.batch import Batch
from graphopt.data.opening import open_data
from graphopt.data.source import Data
from graphopt.ir.reader import load
from graphopt.measure import memory
from graphopt.measure.bootstrap import Estimate
from graphopt.measure.provider import Session, open_session
from tests.bench.quantisers import configurations
from tests.corpus.files import ROOT

MODELS = Path(__file__).parents[2] / "models"
CIFAR = "raw:scale=1/255:mean=.4914+.4822+.4465:std=.247+.2435+.2616"
SAMPLES = 512
ROUNDS = 60
CALIBRATED = frozenset({"Conv", "Relu", "Clip", "Add", "Gemm", "MatMul", "GlobalAveragePool", "AveragePool", "Softmax"})
"""Whose results a quantised network has ranges for, unless one of the next alone reads them."""
CUTTING = frozenset({"Relu", "Clip"})


@dataclass(frozen=True)
class Network:
    """A trained network, the data that it is calibrated on, and that it is scored on."""

    model: Path
    calibration: Path
    scored: Path
    preprocess: str | None = None
    offset: int = 0

    def data(self, path: Path) -> Data:
        return open_data(path, load(self.model), preprocess=self.preprocess, label_offset=self.offset)


def networks(folder: Path) -> dict[str, Network]:
    """Those that are there. Of the pictures for mobilenet-v2 one half is calibrated on, and the other is scored."""
    train, test = MODELS / "digits.train.npz", MODELS / "digits.test.npz"
    found = {name: Network(MODELS / f"{name}.onnx", train, test) for name in ("digits", "digits_transformer")}
    cifar = ROOT / "data" / "cifar10_train5k.npz", ROOT / "data" / "cifar10_test2k.npz"
    if not cifar[0].exists():
        return found
    found["resnet8"] = Network(ROOT / "nets" / "resnet8-cifar10.onnx", *cifar, "raw")
    found["resnet20"] = Network(ROOT / "nets" / "resnet20-cifar10.onnx", *cifar, CIFAR)
    halves = _halves(ROOT / "data" / "imagenet200.npz", folder)
    found["mobilenet-v2"] = Network(ROOT / "nets" / "mobilenet-v2.onnx", *halves, "signed", 1)
    return found


def _halves(path: Path, folder: Path) -> tuple[Path, Path]:
    """Every second sample, and the others."""
    places = folder / "even.npz", folder / "odd.npz"
    with np.load(path) as held:
        for start, place in enumerate(places):
            np.savez(place, **{name: held[name][start::2] for name in held.files})
    return places


def main(names: Sequence[str] = ()) -> None:
    """A table for each network, all of them unless some are named."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, network in networks(folder).items():
            if not names or title in names:
                table(title, network, folder)
        if "mobilenet-v2" in networks(folder) and not names:
            calibration(networks(folder)["mobilenet-v2"])


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


def calibration(network: Network, counts: Sequence[int] = (200, 1000)) -> None:
    """What it costs to calibrate, beside running the same pictures: the processor's time, and memory at its peak."""
    model, data = load(network.model), network.data(network.calibration)
    made = (tensor for node in model.graph.nodes for tensor in node.outputs if node.op in CALIBRATED)
    wanted = [tensor for tensor in made if {node.op for node in tensor.outputs} - CUTTING or not tensor.outputs]
    print("\n| pictures | seconds to run | to calibrate | ratio | MB at most |\n|---|---|---|---|---|")
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
        print(f"| {count:,} | {ran:.1f} | {spent:.1f} | {spent / ran:.2f} | {most:.0f} |", flush=True)


def table(title: str, network: Network, folder: Path) -> None:
    """A row for each tool and configuration, the float network first."""
    calibration, scored = network.data(network.calibration), network.data(network.scored)
    files: dict[str, Path] = {"float": network.model, "graphopt quant": folder / f"{title}.onnx"}
    made = graphopt.optimize(network.model, passes="quant:scheme=static", calibration=calibration)
    made.model.save(files["graphopt quant"])
    feeds = [batch.feeds for batch in calibration.batches(limit=SAMPLES)]
    for name, quantise in configurations().items():
        place = folder / f"{title}.{len(files)}.onnx"
        try:
            quantise(network.model, feeds, place)
            open_session(place).close()
        except Exception as error:  # noqa: BLE001 - what a peer raises is no part of its interface
            print(f"{name} failed on {title}: {str(error).splitlines()[0][:100]}")
            continue
        files[name] = place
    evaluation = graphopt.evaluate(list(files.values()), scored, "top1")
    speeds = _medians(files, next(iter(scored.batches(1 if _free(network) else None))).feeds)
    print(f"\n### {title}: {evaluation.samples} pictures\n")
    print("| | top-1 | lost, points | bytes | graphopt's speed over it |\n|---|---|---|---|---|")
    ours = speeds["graphopt quant"]
    for index, (name, place) in enumerate(files.items()):
        score = evaluation.score("top1", index)
        lost = "" if score.difference is None else _lost(score.difference)
        row = (name, f"{score.value.value:.2%}", lost, f"{place.stat().st_size:,}", f"{speeds[name] / ours:.2f}")
        print("| " + " | ".join(row) + " |", flush=True)


def _lost(difference: Estimate) -> str:
    """How much less, and between what with 95 % certainty."""
    return f"{-100 * difference.value:.2f} ({-100 * difference.high:.2f} to {-100 * difference.low:.2f})"


def _free(network: Network) -> bool:
    """Whether the network takes any number of samples."""
    shape = load(network.model).graph.inputs[0].shape
    return bool(shape) and not isinstance(shape[0], int)


def _medians(files: Mapping[str, Path], feeds: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Seconds that a run takes one thread, by name."""
    seconds: dict[str, list[float]] = {name: [] for name in files}
    with ExitStack() as stack:
        sessions: dict[str, Session] = {
            name: stack.enter_context(open_session(place, threads=1)) for name, place in files.items()
        }
        runs = {name: session.prepared(feeds) for name, session in sessions.items()}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                begin = time.thread_time()
                run()
                seconds[name].append(time.thread_time() - begin)
    return {name: statistics.median(held[ROUNDS // 10 :]) for name, held in seconds.items()}
