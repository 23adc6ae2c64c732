"""Pruning without training: score against cost, what --max-drop allows, and measured time.

    python -m tests.bench pruning
    python -m tests.bench pruning_curve pruning_limit pruning_latency

The second makes the same tables one by one, each in a few minutes. Times need a machine that does nothing else.
Pictures and networks are those of the corpus beside the checkout; without it there is only the digits network.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

import graphopt
from graphopt.budget.limits import Budget
from graphopt.errors import UsageError
from graphopt.measure.bench import bench
from graphopt.report.bench_text import spelled
from tests.corpus.files import ROOT

MODELS = Path(__file__).parents[2] / "models"
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
SHARES = (0.88, 0.75, 0.5, 0.35)
METHODS = {
    "slices only": ":importance=l2:allocate=uniform:recover=none",
    "L2 + least squares": ":importance=l2:allocate=uniform:recover=squares",
    "best": "",
}
TIMED, ASKED = ("resnet20-cifar10", "resnet8-cifar10", "vww-mobilenet"), (0.75, 0.6)
SECONDS = 10.0
KEPT_BACK = 5
"""Of the ImageNet pictures every fifth is to calibrate with, the others are to judge by."""


@dataclass(frozen=True)
class Case:
    """A network with samples to calibrate with, and others, with labels, to judge it by."""

    name: str
    model: Path
    calibration: Path
    data: Path
    options: str = ""


def cases(folder: Path) -> Iterator[Case]:
    """The networks with data."""
    yield Case("digits", MODELS / "digits.onnx", MODELS / "digits.train.npz", MODELS / "digits.test.npz")
    if not ROOT.exists():
        return
    train, test = (np.load(ROOT / "data" / f"cifar10_{part}.npz") for part in ("train5k", "test2k"))
    np.savez(folder / "cifar.npz", image=_cifar(train["x"][:512]))
    np.savez(folder / "cifar_test.npz", image=_cifar(test["x"]), label=test["y"])
    model = ROOT / "nets" / "resnet20-cifar10.onnx"
    yield Case("resnet20-cifar10", model, folder / "cifar.npz", folder / "cifar_test.npz")
    model = ROOT / "nets" / "mobilenet-v2.onnx"
    pictures = np.load(ROOT / "data" / "imagenet200.npz")
    x = np.ascontiguousarray(pictures["x"].transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - np.float32(1)
    name = onnx.load_model(model, load_external_data=False).graph.input[0].name
    judged = np.arange(len(x)) % KEPT_BACK > 0
    np.savez(folder / "imagenet.npz", **{name: x[~judged]})
    np.savez(folder / "imagenet_test.npz", **{name: x[judged], "label": pictures["y"][judged] + 1})
    yield Case("mobilenet-v2", model, folder / "imagenet.npz", folder / "imagenet_test.npz")


def _cifar(pictures: np.ndarray) -> np.ndarray:
    scaled = (pictures.astype(np.float32) / 255 - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def pruned(case: Case, options: str, **settings: object) -> graphopt.Result:
    """The network pruned, scored beside the original."""
    passes = f"clean,fold,fuse,prune{options}{case.options}"
    calibration = {} if "recover=none" in options and "importance=l2" in options else {"calibration": case.calibration}
    return graphopt.optimize(case.model, passes=passes, data=case.data, metric="top1", **calibration, **settings)


def curve(case: Case) -> None:
    """Score at shares of the multiply-adds, for each way to prune."""
    print(f"{case.name}: 512 samples without labels to calibrate with, no training\n")
    print("| multiply-adds | way | top-1 | change, 95 % interval | minutes |\n|---|---|---|---|---|", flush=True)
    for share in SHARES:
        for way, options in METHODS.items():
            begin = time.monotonic()
            result = pruned(case, f":macs={share}{options}")
            row = (reached(result), way, *scored(result), f"{(time.monotonic() - begin) / 60:.1f}")
            print(f"| {' | '.join(row)} |", flush=True)


def reached(result: graphopt.Result) -> str:
    """The share of the multiply-adds that is left."""
    return next(table.text.split(";")[0].removeprefix("macs ") for table in result.report.tables)


def scored(result: graphopt.Result) -> tuple[str, str]:
    """Top-1, and by how much it changed."""
    score = result.report.evaluation.score("top1", 1)
    change = score.difference
    ends = tuple(f"{100 * end:+.2f}" for end in (change.low, change.high))
    return f"{100 * score.value.value:.2f}", f"{100 * change.value:+.2f} ({' to '.join(ends)})"


def within(case: Case) -> None:
    """The most that can go within one point, with and without recovery."""
    for way in ("", ":recover=none"):
        begin = time.monotonic()
        result = pruned(case, way, budget=Budget(max_drop="1%"))
        row = (case.name, "no" if way else "yes", reached(result), *scored(result))
        print(f"| {' | '.join(row)} | {(time.monotonic() - begin) / 60:.1f} |", flush=True)


def timed(model: Path, share: float, folder: Path) -> None:
    """Asked, found and measured shares of the time of a run, with one thread; the last as `graphopt bench` does."""
    whole, cut = folder / "whole.onnx", folder / "cut.onnx"
    graphopt.optimize(model, passes="clean,fold,fuse").model.save(whole)
    try:
        result = graphopt.optimize(model, passes=f"clean,fold,fuse,prune:latency={share}")
    except UsageError as error:
        print(f"| {model.stem} | {share} | {error} | |", flush=True)
        return
    result.model.save(cut)
    ratio = bench([whole, cut], threads=[1], seconds=SECONDS).results[1].ratio
    found = result.report.tables[-1].text.split(";")[0].removeprefix("latency ")
    print(f"| {model.stem} | {share} | {found} | {spelled(ratio)} |", flush=True)


def _with_cases(use: Callable[[dict[str, Case]], object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        use({case.name: case for case in cases(Path(name))})


def curves() -> None:
    """Score against multiply-adds."""
    _with_cases(lambda found: [curve(case) for name, case in found.items() if name == "resnet20-cifar10"])


def limits() -> None:
    """What goes within one point."""
    print("| network | recovery | multiply-adds | top-1 | change, 95 % interval | minutes |\n|---|---|---|---|---|---|")
    _with_cases(lambda found: [within(case) for case in found.values()])


def latencies() -> None:
    """Targets of time."""
    print("| network | asked | found | measured again |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for stem in TIMED if ROOT.exists() else ():
            for share in ASKED:
                timed(ROOT / "nets" / f"{stem}.onnx", share, Path(name))


PARTS = {"curve": curves, "limit": limits, "latency": latencies}


def main() -> None:
    """All tables."""
    for part in PARTS.values():
        part()
        print()


if __name__ == "__main__":
    main()
