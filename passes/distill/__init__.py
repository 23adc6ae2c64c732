"""distill: training a network, in PyTorch, to give what another gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from graphopt.errors import UsageError
from graphopt.extras import need
from graphopt.pipeline.passes import Option, Options, Pass, names
from passes.distill.settings import AUGMENTATIONS, LOSSES, OPTIMIZERS, PRECISIONS

if TYPE_CHECKING:
    from graphopt.ir.model import Model
    from graphopt.pipeline.context import Context

N = TypeVar("N", int, float)
NUMBERS: Mapping[object, str] = {int: "a whole number", float: "a number"}


def _run(context: Context, options: Options) -> None:
    from passes.distill.run import distill

    distill(context, options)


def _requires(_model: Model, _options: Options) -> str | None:
    try:
        need("torch", "distill", "torch")
    except UsageError as missing:
        return str(missing)
    return None


def _number(kind: Callable[[str], N], text: str) -> N:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"expected {NUMBERS[kind]}, found {text}") from None


def _at_least(kind: Callable[[str], N], least: N, *, above: bool = False) -> Callable[[str], N]:
    def parse(text: str) -> N:
        value = _number(kind, text)
        if not least <= value < float("inf") or (above and value == least):
            raise ValueError(f"expected a number {'above' if above else 'of at least'} {least}, found {text}")
        return value

    return parse


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected one of {', '.join(known)}, found {text}")
        return text

    return parse


def _augmentations(text: str) -> tuple[str, ...]:
    return tuple(map(_one_of(AUGMENTATIONS), names(text)))


OPTIONS = (
    Option("epochs", _at_least(int, 1), "passes over the samples"),
    Option("temperature", _at_least(float, 0.0, above=True), "by which scores of classes are divided"),
    Option("rate", _at_least(float, 0.0, above=True), "the learning rate, which falls to 0 as a cosine"),
    Option("batch", _at_least(int, 1), "samples in a step"),
    Option("optimizer", _one_of(OPTIMIZERS), " or ".join(OPTIMIZERS)),
    Option("labels", _at_least(float, 0.0), "weight of the loss on labels, if the samples have some"),
    Option("features", _at_least(float, 0.0), "weight of the loss on inner tensors that both networks have"),
    Option("loss", _one_of(LOSSES), "kl compares distributions, mse numbers; auto: kl for scores of classes"),
    Option("augment", _augmentations, f"changes to pictures, joined with +: {', '.join(AUGMENTATIONS)}"),
    Option("precision", _one_of(PRECISIONS), "of products; auto: bfloat16 where the processor has it"),
    Option(
        "patience", _at_least(int, 0), "checks by the metric, one after each epoch, without improvement before it ends"
    ),
    Option("samples", _at_least(int, 0), "use only the first so many"),
    Option("teacher", Path, "the model to imitate, instead of the original"),
    Option("checkpoint", Path, "a folder from which training that was interrupted goes on"),
)
DISTILL = Pass(
    "distill",
    _run,
    inspect.cleandoc("""Train the weights until the network gives what the original gives.

    What pruning and quantisation have cost is won back: the network runs differentiably in PyTorch (the extra torch),
    and its weights follow the outputs of the original on samples (--calibration), without labels, or with. Quantised
    networks are trained through their rounding, and stay quantised. With a metric (--data, --metric) the best weights
    that it has seen are kept."""),
    options=OPTIONS,
    safe=False,
    requires=_requires,
)
