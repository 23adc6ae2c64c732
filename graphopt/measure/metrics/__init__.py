"""Metrics by name, and what a text such as `top1`, `f1:average=micro` or `module:function` stands for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from graphopt.data.functions import is_function
from graphopt.errors import UsageError
from graphopt.ir.words import quoted
from graphopt.measure.metrics import classes, distances
from graphopt.measure.metrics.detection import mean_average_precision
from graphopt.measure.metrics.metric import Metric, Observed
from graphopt.measure.metrics.own import own
from graphopt.measure.metrics.perplexity import perplexity

__all__ = ["METRICS", "Metric", "Observed", "metric"]

METRICS: Mapping[str, Callable[..., Metric]] = {
    "top1": partial(classes.topk, 1),
    "top5": partial(classes.topk, 5),
    "topk": classes.topk,
    "agreement": classes.agreement,
    "f1": classes.f1,
    "map": mean_average_precision,
    "perplexity": perplexity,
    "sqnr": distances.sqnr,
    "cosine": distances.cosine,
    "mean_abs": distances.mean_abs,
    "max_abs": distances.max_abs,
}
"""What makes each metric; its parameters are the options of the text."""


def metric(text: str | Metric) -> Metric:
    """The metric that a text stands for: a name of `METRICS` with options, or `module:function`. Its name is the text.

    Raises UsageError for anything else.
    """
    if isinstance(text, Metric):
        return text
    name, *changes = text.strip().split(":")
    make = METRICS.get(name)
    if make is None:
        if is_function(text):
            return own(text)
        raise UsageError(f"there is no metric {quoted(name)}; there are: {', '.join(METRICS)}, and module:function")
    options = inspect.signature(make).parameters
    made = make(**dict(_option(name, change, options) for change in changes))
    return replace(made, name=text.strip())


def _option(name: str, text: str, options: Mapping[str, inspect.Parameter]) -> tuple[str, object]:
    """A parameter and its value, of the type of its default."""
    option, equals, value = text.partition("=")
    if option not in options or not equals:
        raise UsageError(f"{name}: {text!r} is no option; there are: {', '.join(options)}, as in {name}:output=logits")
    default = options[option].default
    try:
        return option, value if default is None else type(default)(value)
    except ValueError:
        raise UsageError(f"{name}: {value!r} is no value for {option}") from None
