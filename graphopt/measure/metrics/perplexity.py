"""Perplexity of language models."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from graphopt.data.source import IGNORED
from graphopt.errors import UsageError
from graphopt.ir.types import Array
from graphopt.measure.metrics.classes import check_classes
from graphopt.measure.metrics.metric import Metric, Observed, chosen, mean

AXES = 3
"""Of logits: samples, tokens and the vocabulary."""


def _likelihoods(observed: Observed, output: str | None, shift: int) -> Array:
    """(samples, 2): the sum of -log p over the tokens of a sample, and how many there are."""
    logits = chosen(observed.outputs, output)
    if observed.labels is None or logits.ndim != AXES or logits.shape[:2] != observed.labels.shape:
        raise UsageError(
            f"perplexity takes logits (samples, tokens, vocabulary) and labels (samples, tokens), found "
            f"{list(logits.shape)} and {'none' if observed.labels is None else list(observed.labels.shape)}"
        )
    labels = check_classes(observed.labels, logits.shape[2])
    tokens = logits.shape[1]
    pairs = zip(logits[:, : tokens - shift], labels[:, shift:], strict=True)
    return np.array([_of_sample(row, right) for row, right in pairs], np.float64)


def _of_sample(logits: Array, labels: Array) -> tuple[float, int]:
    counted = labels != IGNORED
    rows, right = logits[counted].astype(np.float64), labels[counted].astype(np.int64)
    rows -= rows.max(axis=-1, keepdims=True, initial=-np.inf)
    log = np.log(np.exp(rows).sum(axis=-1)) - rows[np.arange(len(rows)), right]
    return float(log.sum()), len(right)


def _perplexity(kept: Array, weights: Array) -> float:
    loss = mean(kept, weights)
    return math.inf if loss >= math.log(np.finfo(np.float64).max) else math.exp(loss)


def perplexity(output: str | None = None, shift: int = 1) -> Metric:
    """The exponential of the mean of -log p(token) over all tokens of all samples.

    shift: the logits at place t are for the token at t + shift; 0 where the labels are shifted already. Tokens whose
    label is -100 do not count.
    """
    if shift < 0:
        raise UsageError(f"perplexity: shift must be at least 0, found {shift}")
    update = partial(_likelihoods, output=output, shift=shift)
    return Metric(
        "perplexity", "", update, _perplexity, higher_is_better=False, labels="class", output=output, axes=AXES
    )
