"""What a metric is: numbers for every sample, and a score of those of many samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from graphopt.data.interface import Interface, Port
from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.ir.words import listed, quoted

Labels = Literal["", "class", "any"]


@dataclass(frozen=True)
class Observed:
    """A batch as a metric sees it: arrays with the samples along their first axis.

    outputs: of the model, by name. labels: what is right, or None. reference: outputs of the original model for the
    same samples, or None. feeds: what both were fed.
    """

    outputs: Mapping[str, Array]
    labels: Array | None
    reference: Mapping[str, Array] | None
    feeds: Mapping[str, Array]


@dataclass(frozen=True)
class Metric:
    """One number about a model on data.

    unit: "%" for a share (0.885 is 88.5 %), "dB", or "" for a plain number.
    update: what is kept of every sample, (samples, k): all that `score` needs, and little.
    score: the number, of (samples, k) and the weight of every sample, a count: how often it was drawn.
    labels: "class" if labels are numbers of classes, one for each sample or for each of its elements; "any" if the
        metric needs others; "" if it needs none.
    needs_reference: whether it compares with the outputs of the original model.
    output: the output that is looked at; None for the first. axes: how many it must have at least, unless it holds
        integers; one less if it is of a single sample.
    resamples: how often it is worth drawing samples anew for its interval.
    """

    name: str
    unit: str
    update: Callable[[Observed], Array]
    score: Callable[[Array, Array], float]
    higher_is_better: bool = True
    labels: Labels = ""
    needs_reference: bool = False
    output: str | None = None
    axes: int = 0
    resamples: int = 1000

    @property
    def needs_labels(self) -> bool:
        """Whether it can only be computed with labels."""
        return bool(self.labels)

    def port(self, model: Interface) -> Port:
        """The output of a model that is looked at. Raises UsageError if it has none of that name, or with few axes."""
        port = next((port for port in model.outputs if self.output in (None, port.name)), None)
        if port is None:
            names = listed((quoted(port.name) for port in model.outputs), 20)
            raise UsageError(f"{self.name}: {model.name} has no output {quoted(self.output or '')}; it has {names}")
        integer = port.dtype is not None and port.dtype.kind in "iub"
        least = self.axes - int(model.batch == 1)
        if port.shape is not None and len(port.shape) < least and not integer:
            raise UsageError(
                f"{self.name} cannot be computed of output {port} of {model.name}: it must have at least {least} axes"
            )
        return port


def chosen(found: Mapping[str, Array], output: str | None) -> Array:
    """The output called `output`, or the first. Raises UsageError for one that holds no numbers."""
    name = next(iter(found)) if output is None else output
    if name not in found:
        raise UsageError(f"there is no output {quoted(name)} with numbers; there are: {listed(map(quoted, found), 20)}")
    if found[name].dtype.kind in "OUSc":
        raise UsageError(f"output {quoted(name)} is {found[name].dtype}, of which there is no metric")
    return found[name]


def mean(kept: Array, weights: Array) -> float:
    """The weighted sum of the first column over that of the second."""
    total = weights @ kept
    return float(total[0] / total[1]) if total[1] else float("nan")


def flat(array: Array) -> Array:
    """(samples, all elements) as float64."""
    return array.reshape(len(array), -1).astype(np.float64)
