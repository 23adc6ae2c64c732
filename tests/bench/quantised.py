"""Static quantisation beside other quantisers: accuracy, size and speed, all in one run on the same samples.

Every tool is calibrated on the same samples, which are none of those that are scored. Peers are quantised in every
configuration; which of them is the best is decided by the samples that are scored, so chance is on their side: the best
of twenty scores that differ by chance alone is above their mean. The share of samples that are classified as the float
network does is less of a lottery. Speed is the ratio of medians of the time that one thread computes, over runs that
alternate between all files; above 1 graphopt's is faster. What peers made is kept in a temporary folder, for the next
run; what it scores is not.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import graphopt
from graphopt.data.opening import open_data
from graphopt.data.source import Data
from graphopt.ir.reader import load
from graphopt.measure.bootstrap import Estimate
from graphopt.measure.provider import Session, open_session
from tests.bench import quantisers
from tests.bench.quantisers import Feeds, configurations
from tests.corpus.files import ROOT

MODELS = Path(__file__).parents[2] / "models"
CIFAR = "raw:scale=1/255:mean=.4914+.4822+.4465:std=.247+.2435+.2616"
PASSES = "quant:scheme=static,strip"
FLOAT, OURS = "float", "graphopt"
SAMPLES = 512
ROUNDS = 60


@dataclass(frozen=True)
class Network:
    """A trained network, the data that it is calibrated on, and that it is scored on."""

    model: Path
    calibration: Path
    scored: Path
    preprocess: str | None = None
    offset: int = 0

    def data(self, path: Path) -> Data:
        """Samples of one of the two files."""
        return open_data(path, load(self.model), preprocess=self.preprocess, label_offset=self.offset)

    @property
    def free(self) -> bool:
        """Whether it takes any number of samples at once."""
        shape = load(self.model).graph.inputs[0].shape
        return bool(shape) and not isinstance(shape[0], int)


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
    """Every second sample, and the others; made once in a folder."""
    places = folder / "even.npz", folder / "odd.npz"
    if all(place.exists() for place in places):
        return places
    with np.load(path) as held:
        for start, place in enumerate(places):
            np.savez(place, **{name: held[name][start::2] for name in held.files})
    return places


def main(arguments: Sequence[str] = ()) -> None:
    """A table for each network with all of the peers, as soon as it is there, and one with the best of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench quantised", description=__doc__)
    parser.add_argument("networks", nargs="*", help="by name; default: all")
    chosen = parser.parse_args(arguments).networks
    results: dict[str, Comparison] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = networks(folder)
        if unknown := sorted({*chosen} - {*found}):
            parser.error(f"there is no {unknown[0]}; there are: {', '.join(found)}")
        for title in chosen or found:
            results[title] = compared(title, found[title], folder)
            print(f"\n### {title}\n\n{details(results[title])}", flush=True)
    print(f"\n### Beside the best of the others\n\n{summary(results)}", flush=True)


@dataclass(frozen=True)
class Row:
    """What a file is. lost: top-1, as a share, to the float network's. same: the share of samples classified as there.
    size: bytes. seconds: of a run."""

    score: float
    lost: Estimate | None
    same: float
    size: int
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """The rows of files by name, over so many samples. beside: top-1 lost to that of the best peer."""

    samples: int
    rows: Mapping[str, Row]
    beside: Estimate | None

    @property
    def peers(self) -> list[str]:
        """The other quantisers, the one with the best score first, and of equal ones the smallest."""
        others = [name for name in self.rows if name not in (FLOAT, OURS)]
        return sorted(others, key=lambda name: (-self.rows[name].score, self.rows[name].size))


def compared(title: str, network: Network, folder: Path) -> Comparison:
    """Quantise a network in every way, score all on the same samples, and time them."""
    files = quantised(title, network, folder)
    scored = network.data(network.scored)
    evaluation = graphopt.evaluate(list(files.values()), scored, ["top1", "agreement"])
    speeds = medians(files, next(iter(scored.batches(1 if network.free else None))).feeds)
    rows = {}
    for index, (name, place) in enumerate(files.items()):
        top1, same = evaluation.score("top1", index), evaluation.score("agreement", index)
        rows[name] = Row(top1.value.value, top1.difference, same.value.value, place.stat().st_size, speeds[name])
    found = Comparison(evaluation.samples, rows, None)
    if not found.peers:
        return found
    pair = graphopt.evaluate([files[found.peers[0]], files[OURS]], scored, "top1")
    return Comparison(evaluation.samples, rows, pair.score("top1", 1).difference)


def quantised(title: str, network: Network, folder: Path) -> dict[str, Path]:
    """The network in float, by us, and by every peer that can, as files."""
    calibration = network.data(network.calibration)
    files = {FLOAT: network.model, OURS: folder / f"{title}.onnx"}
    began = time.process_time()
    graphopt.optimize(network.model, passes=PASSES, calibration=calibration).model.save(files[OURS])
    _tell(title, OURS, began)
    feeds: Feeds = [batch.feeds for batch in calibration.batches(limit=SAMPLES)]
    kept = _kept(network)
    for name, quantise in configurations(kept).items():
        place, began = kept / f"{name.replace(' ', '_')}.onnx", time.process_time()
        try:
            if not place.exists():
                quantise(network.model, feeds, folder / "made.onnx")
                (folder / "made.onnx").replace(place)
            open_session(place).close()
        except Exception as error:
            print(f"{title}: {name} failed: {str(error).splitlines()[0][:100]}", flush=True)
            continue
        files[name] = place
        _tell(title, name, began)
    return files


def _kept(network: Network) -> Path:
    """Where what peers made of a network stays between runs of this: a temporary folder for its content and theirs."""
    import onnxruntime

    digest = hashlib.sha256(f"{onnxruntime.__version__} {SAMPLES}".encode())
    for path in (network.model, network.calibration, Path(quantisers.__file__)):
        digest.update(path.read_bytes())
    place = Path(tempfile.gettempdir()) / "graphopt.bench" / digest.hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    return place


def _tell(title: str, name: str, began: float) -> None:
    print(f"{title}: {name}, {time.process_time() - began:.1f} s of the processor", file=sys.stderr, flush=True)


def medians(files: Mapping[str, Path], feeds: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Seconds that a run takes one thread, by name."""
    seconds: dict[str, list[float]] = {name: [] for name in files}
    with ExitStack() as stack:
        sessions: dict[str, Session] = {
            name: stack.enter_context(open_session(place, threads=1)) for name, place in files.items()
        }
        runs = {name: session.prepared(feeds) for name, session in sessions.items()}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                run()
                begin = time.thread_time()
                run()
                seconds[name].append(time.thread_time() - begin)
    return {name: statistics.median(held[ROUNDS // 10 :]) for name, held in seconds.items()}


def details(found: Comparison) -> str:
    """A row for each tool and configuration, the float network first, then graphopt, then the best of the others."""
    lines = ["| | top-1 | points lost | as in float | bytes | graphopt is faster |", "|---|---|---|---|---|---|"]
    ours = found.rows[OURS].seconds
    for name in (FLOAT, OURS, *found.peers):
        row = found.rows[name]
        cells = (f"{row.score:.2%}", _points(row.lost), f"{row.same:.2%}", f"{row.size:,}", f"{row.seconds / ours:.2f}")
        lines.append(f"| {' | '.join((name, *cells))} |")
    return "\n".join(lines)


HEAD = (
    "network", "pictures", "points lost", "best peer loses", "difference", "as in float", "most of a peer",
    "bytes", "of that peer", "times float's speed", "times the fastest peer's",
)  # fmt: skip


def summary(results: Mapping[str, Comparison]) -> str:
    """A row for each network: graphopt, and the best of the others in each respect."""
    lines = [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    for title, found in results.items():
        ours, others = found.rows[OURS], [found.rows[name] for name in found.peers]
        if not others:
            continue
        best, fastest = others[0], min(row.seconds for row in others)
        cells = (
            title, f"{found.samples:,}", _points(ours.lost), _points(best.lost), _points(found.beside),
            f"{ours.same:.2%}", f"{max(row.same for row in others):.2%}", f"{ours.size:,}", f"{best.size:,}",
            f"{found.rows[FLOAT].seconds / ours.seconds:.2f}", f"{fastest / ours.seconds:.2f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _points(difference: Estimate | None) -> str:
    """How much less, in points, and between what with 95 % certainty."""
    if difference is None:
        return ""
    value = f"{-100 * difference.value:.2f}"
    if difference.low is None or difference.high is None:
        return value
    return f"{value} ({-100 * difference.high:.2f} to {-100 * difference.low:.2f})"
