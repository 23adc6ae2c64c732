"""Speed and size of convolutional networks in int8, beside float and beside the other quantisers' best.

Networks of the usual sizes with random weights, calibrated on random pictures: their accuracy means nothing. One
thread, one picture; the time is that of the processor, so that other programs disturb less; runs alternate between
all files in an order that is drawn anew each time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import onnx

import graphopt
from tests.bench import full_size, mobile
from tests.bench.quantisers import configurations

NETWORKS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "ResNet-50": full_size.resnet50,
    "MobileNetV2": mobile.mobilenet_v2,
    "MobileNetV3-large": mobile.mobilenet_v3_large,
    "EfficientNet-B0": mobile.efficientnet_b0,
}
COLUMNS = (
    "network", "ours", "float ms", "ours ms", "best peer ms", "its name", "float to ours", "peer to ours",
    "size of float to ours", "dB",
)  # fmt: skip
STATIC = "quant:scheme=static:calibrate=minmax:rounding=nearest"
"""The other ways to find ranges and to round make networks righter, and no faster."""
OURS: Mapping[str, str] = {
    "as it is": f"{STATIC},strip",
    "every layer": f"{STATIC}:floor=-40,strip",
    "every layer, SiLU as lines": f"{STATIC}:floor=-40:silu=lines,strip",
}
"""With random weights some layers lose more than quant allows, and stay float; peers do not look."""
SAMPLES = 4
ROUNDS, RUNS = 60, 2
METHODS = ("entropy", "percentile", "mse", "auto")
"""Ways to find ranges, none of which changes how fast a network is: one of them, minmax, is enough."""


def main(networks: Collection[str] = tuple(NETWORKS)) -> None:
    print(f"| {' | '.join(COLUMNS)} |")
    print("|---" * len(COLUMNS) + "|")
    for name, make in ((one, NETWORKS[one]) for one in networks):
        with tempfile.TemporaryDirectory() as folder:
            _row(name, make(), Path(folder))


def _row(name: str, message: onnx.ModelProto, folder: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((SAMPLES, *mobile.PICTURE), np.float32)
    files = quantised(message, pictures, folder)
    times = milliseconds(files, {"x": pictures[:1]})
    peer = min((tool for tool in files if tool not in ("float", *OURS)), key=times.__getitem__)
    plain, best = times["float"], times[peer]
    for kind in OURS:
        own, smaller = times[kind], files["float"].stat().st_size / files[kind].stat().st_size
        print(
            f"| {name} | {kind} | {plain:.2f} | {own:.2f} | {best:.2f} | {peer} | {plain / own:.2f} "
            f"| {best / own:.2f} | {smaller:.2f} | {decibels(files, kind, pictures):.1f} |",
            flush=True,
        )


def decibels(files: Mapping[str, Path], kind: str, pictures: np.ndarray) -> float:
    """The signal of the outputs over the noise that a file has in them, on the pictures that it was calibrated on."""
    import onnxruntime as ort

    exact, found = (ort.InferenceSession(files[one]).run(None, {"x": pictures})[0] for one in ("float", kind))
    return float(10 * np.log10(np.square(exact).sum() / np.square(exact - found).sum()))


def quantised(message: onnx.ModelProto, pictures: np.ndarray, folder: Path) -> dict[str, Path]:
    """The network in float, by us, and by every peer that can, as files."""
    files = {name: folder / f"{name}.onnx" for name in ("float", *OURS)}
    files["float"].write_bytes(message.SerializeToString())
    data = folder / "data.npz"
    np.savez(data, x=pictures)
    for kind, passes in OURS.items():
        graphopt.optimize(files["float"], passes=passes, calibration=data).model.save(files[kind])
    feeds = [{"x": picture[None]} for picture in pictures]
    for name, quantise in configurations().items():
        if any(method in name for method in METHODS):
            continue
        target = folder / f"{name}.onnx"
        try:
            quantise(files["float"], feeds, target)
        except Exception as error:
            print(f"{name} failed: {type(error).__name__}")
            continue
        files[name] = target
    return files


def milliseconds(files: Mapping[str, Path], feeds: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The median time of a run of each model, on one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    provider = ["CPUExecutionProvider"]
    sessions = {name: ort.InferenceSession(str(path), options, providers=provider) for name, path in files.items()}
    times: dict[str, list[float]] = {name: [] for name in files}
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        for name in rng.permutation(list(sessions)):
            session = sessions[str(name)]
            session.run(None, feeds)
            started = time.thread_time()
            for _ in range(RUNS):
                session.run(None, feeds)
            times[str(name)].append((time.thread_time() - started) / RUNS * 1000)
    return {name: statistics.median(taken) for name, taken in times.items()}
