"""Other static quantisers, in every configuration that a reader might call their best. Each writes a file.

`onnxruntime.quantization` comes with the runtime; onnxsim is installed by `pip install --group bench`.
"""

from __future__ import annotations

import importlib.util
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

Feeds = Sequence[Mapping[str, np.ndarray]]
Quantise = Callable[[Path, Feeds, Path], None]
"""Quantises a model, calibrated on feeds, into a file."""

TYPES = {"U8S8": ("QUInt8", "QInt8"), "S8S8": ("QInt8", "QInt8")}
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
ONNXSIM = ("minmax", "entropy", "percentile", "mse", "auto")


def onnxruntime(
    model: Path, feeds: Feeds, target: Path, *, types: str, method: str, per_channel: bool, ranges: Path | None
) -> None:
    """quantize_static in the QDQ format after its own preprocessing, which its documentation asks for.

    ranges: a folder that keeps what it found when it calibrated the same model on the same feeds by the same method.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[Mapping[str, np.ndarray]] = iter(feeds)

        def get_next(self) -> Any:
            return next(self.left, None)

    activations, weights = (QuantType[name] for name in TYPES[types])
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared), str(target), Reader(), quant_format=QuantFormat.QDQ, per_channel=per_channel,
            activation_type=activations, weight_type=weights, calibrate_method=CalibrationMethod[METHODS[method]],
            calibration_cache_path=None if ranges is None else ranges / f"{method}.json",
        )  # fmt: skip


def onnxsim(model: Path, feeds: Feeds, target: Path, *, method: str, full: bool) -> None:
    """Simplified, then quantised: products and convolutions alone, or the full graph."""
    import onnxsim as tool

    simplified, _ = tool.simplify(str(model))
    made = tool.quantize_static(simplified, [dict(feed) for feed in feeds], method=method, full_graph=full)
    onnx.save(made, target)


def configurations(ranges: Path | None = None) -> dict[str, Quantise]:
    """All of them, by the name that a table gives them. ranges: a folder for one model and its feeds."""
    found: dict[str, Quantise] = {}

    def add(name: str, quantise: Callable[..., None], **options: Any) -> None:
        found[name] = lambda model, feeds, target: quantise(model, feeds, target, **options)

    for types, method, per_channel in itertools.product(TYPES, METHODS, (True, False)):
        name = f"onnxruntime {types} {method}{' per channel' if per_channel else ''}"
        add(name, onnxruntime, types=types, method=method, per_channel=per_channel, ranges=ranges)
    if importlib.util.find_spec("onnxsim"):
        for method, full in itertools.product(ONNXSIM, (False, True)):
            add(f"onnxsim {method}{' full graph' if full else ''}", onnxsim, method=method, full=full)
    return found
