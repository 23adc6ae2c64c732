"""The options of the pass `quant`: a table, and the values that it is called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from graphopt.ir.types import Node
from graphopt.pipeline.passes import Option, Options, names

MOST_SAMPLES = 1 << 20


class Format(StrEnum):
    """How integers are written."""

    QDQ = "qdq"
    QOPERATOR = "qoperator"


class Existing(StrEnum):
    """What becomes of the quantisation that a model already has."""

    REFUSE = "refuse"
    LEAVE = "leave"
    KEEP = "keep"
    REQUANTISE = "requantise"
    DEQUANTISE = "dequantise"


@dataclass(frozen=True)
class Settings:
    """What the pass was asked for; None where it decides itself.

    scheme: one of `SCHEMES`, or "auto". calibrate: a method of `graphopt.calibration`. samples: of the calibration.
    symmetric: activations have their zero in the middle. channels: weights have a scale for each output channel.
    bits: of the weights. floor: the least signal-to-noise ratio of a layer on its activations, in dB.
    exclude, only: layers by the name of their call or their output. existing: what becomes of Q/DQ already there.
    rounding: how weights are rounded where activations are integers too. equalise: channels that share a scale.
    silu: "lines" where it may become two straight lines.
    ranges: the file in which ranges are kept, if any.
    block: rows of a weight that share a scale, where only weights are quantised. method: how those are rounded.
    """

    scheme: str = "auto"
    format: Format = Format.QDQ
    calibrate: str = "auto"
    samples: int = 512
    symmetric: bool | None = None
    channels: bool | None = None
    bits: int | None = None
    floor: float | None = None
    exclude: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    existing: Existing = Existing.REFUSE
    block: int = 128
    method: str = "nearest"
    rounding: str = "products"
    equalise: bool = False
    silu: str = "exact"
    ranges: str = ""

    def wants(self, node: Node) -> bool:
        """Whether `exclude` and `only` let a call be quantised."""
        named = {node.name, *(tensor.name for tensor in node.outputs)}
        return not named.intersection(self.exclude) and (not self.only or bool(named.intersection(self.only)))


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser that takes one of these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {' or '.join(choices)}, found {text!r}")
        return text

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A parser for whole numbers between two bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"expected a whole number from {least} to {most}, found {text!r}")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """A parser for numbers between two bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise ValueError(f"expected a number from {least:g} to {most:g}, found {text!r}")
        return value

    return parse


def yes_or_no(text: str) -> bool:
    """A parser for `yes` and `no`."""
    return one_of("yes", "no")(text) == "yes"


def _format(text: str) -> Format:
    return Format(one_of(*Format)(text))


def _existing(text: str) -> Existing:
    return Existing(one_of(*Existing)(text))


def _method(text: str) -> str:
    from graphopt.calibration.methods import AUTO, METHODS

    return one_of(AUTO, *METHODS)(text)


def _block(text: str) -> int:
    return int(one_of("16", "32", "64", "128", "256")(text))


def _rounding(text: str) -> str:
    from passes.quant.weight_only.methods import METHODS

    return one_of(*METHODS)(text)


def _scheme(text: str) -> str:
    from passes.quant.schemes import SCHEMES

    return one_of("auto", *SCHEMES)(text)


OPTIONS: tuple[Option, ...] = (
    Option("scheme", _scheme, "how numbers are stored and computed; auto chooses by target, network and data"),
    Option(
        "format", _format, "qdq: float operators between QuantizeLinear and DequantizeLinear; qoperator: QLinearConv"
    ),
    Option("calibrate", _method, "how the range of an activation follows from what it was on the calibration data"),
    Option("samples", whole(1, MOST_SAMPLES), "calibrate on at most so many samples; 512 unless said"),
    Option("symmetric", yes_or_no, "whether activations, or blocks of weights, have their zero in the middle"),
    Option("channels", yes_or_no, "whether weights have a scale for each output channel; yes where the target can"),
    Option("bits", whole(2, 8), "bits of the weights; by default as many as the target computes with exactly"),
    Option(
        "floor",
        number(-100, 200),
        "a layer with less signal-to-noise, in dB, stays float",
    ),
    Option("exclude", names, "layers that stay float, by the names of their nodes or outputs, joined with +"),
    Option("only", names, "quantise nothing but these layers"),
    Option("block", _block, "weights of a column that share a scale in int8, int4 and int2; 128 unless said"),
    Option("method", _rounding, "how weights are rounded in int8, int4 and int2; nearest unless said"),
    Option(
        "rounding",
        one_of("products", "nearest"),
        "how weights are rounded in static: so that products are close, "
        "by least squares on calibration data, unless said; or each to the nearest",
    ),
    Option("equalise", yes_or_no, "whether channels that share a scale are made alike, in static; no unless said"),
    Option(
        "silu",
        one_of("exact", "lines"),
        "how integers compute SiLU, in static: exact, through Sigmoid and a product, unless said; or as two straight "
        "lines, three times as fast and 26 dB from it: judge it by --data and --metric",
    ),
    Option("ranges", str, "a file (.json) that keeps the ranges: the same model and data need not be calibrated again"),
    Option("existing", _existing, "what becomes of quantisation that is already there; refuse unless said"),
)


def settings(options: Options) -> Settings:
    """The options as settings."""
    known = {field.name for field in fields(Settings)}
    given: dict[str, Any] = {name: value for name, value in options.items() if name in known}
    return Settings(**given)
