"""Metrics of the user's own, named `module:function`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from graphopt.data.functions import found_function, told
from graphopt.errors import GraphoptError, UsageError
from graphopt.ir.types import Array
from graphopt.measure.metrics.metric import Metric, Observed, mean

SEEN = ("outputs", "labels", "reference", "feeds")
"""What a function may have as parameters: the fields of `Observed`."""
SAID = {"unit": "", "higher_is_better": True}
"""Attributes of a function, and what holds without them."""


def own(text: str) -> Metric:
    """The metric of `module:function`: a `Metric`, or a function that gives one number for each sample of a batch.

    The score is their mean. The function takes what it names of `outputs`, `labels`, `reference` and `feeds`; its
    attributes `unit` and `higher_is_better` say what its numbers are. Raises UsageError for anything else.
    """
    found = found_function(text)
    if isinstance(found, Metric):
        return found
    if not callable(found):
        raise UsageError(f"{text} is {type(found).__name__}, expected a function or a Metric")
    names = list(inspect.signature(found).parameters)
    strange = [name for name in names if name not in SEEN]
    if strange or not names:
        raise UsageError(f"{text} takes {', '.join(names) or 'nothing'}; a metric takes some of {', '.join(SEEN)}")
    said = {name: getattr(found, name, default) for name, default in SAID.items()}
    return Metric(
        name=text,
        unit=str(said["unit"]),
        higher_is_better=bool(said["higher_is_better"]),
        update=partial(_kept, text=text, function=found, names=names),
        score=mean,
        labels="any" if "labels" in names else "",
        needs_reference="reference" in names,
    )


def _kept(observed: Observed, text: str, function: Callable[..., Any], names: list[str]) -> Array:
    """(samples, 2): what the function gives, and ones. Raises UsageError unless it gives a number for each sample."""
    try:
        found = np.asarray(function(**{name: getattr(observed, name) for name in names}))
    except GraphoptError:
        raise
    except Exception as error:
        raise UsageError(f"{text} failed: {told(error)}") from error
    samples = len(next(iter(observed.outputs.values())))
    if found.shape != (samples,) or found.dtype.kind not in "iubf":
        raise UsageError(
            f"{text} gave {found.dtype} of the shape {list(found.shape)}, expected a number for each of {samples} "
            "samples"
        )
    numbers = found.astype(np.float64)
    return np.stack([numbers, np.ones_like(numbers)], axis=1)
