"""Mean and variance: each layer in turn is scaled and shifted until its output has those that it had, by channel.

What BatchNormalization would do if it were measured anew; exports have it folded. Streamed: sums alone are held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from graphopt.ir.types import Array
from passes.prune.recover.layers import Layer
from passes.prune.recover.program import Feeds, Part, Program
from passes.prune.recover.squares import TINY, Kept, adjust, alike, today

MOST = 4.0
"""By so much a channel is scaled at most."""


def corrected(
    original: Program,
    cut: Program,
    found: Iterable[Layer],
    feeds: Feeds,
    kept: Kept,
    *,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[Layer]:
    """Correct the layers of a cut network that have a bias, in their order; the weights go into `cut.weights`. Gives
    each layer when it was corrected."""
    for layer in found:
        if layer.bias is None:
            continue
        say(f"prune: correcting {layer.weight.tensor.name}")
        now, before = _moments(original, cut, layer, feeds.fitted, kept)
        scale = np.clip(np.sqrt(before[1] / np.maximum(now[1], TINY)), 1 / MOST, MOST)
        bias = today(cut, layer.bias.tensor.name, layer.bias.values).astype(np.float64)
        shift = before[0] - now[0] * scale + bias * (scale - 1)
        matrix = layer.matrix(today(cut, layer.weight.tensor.name, layer.weight.values)).astype(np.float64)
        scale, shift = scale.reshape(layer.groups, 1, -1), shift.reshape(layer.groups, 1, -1)
        change = np.concatenate([matrix * (scale - 1), shift], axis=1)
        if np.isfinite(change).all():
            adjust(cut, layer, change)
            yield layer


def _moments(
    original: Program, cut: Program, layer: Layer, feeds: Part, kept: Kept
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Mean and variance of each channel of the output, of the cut network and of the original."""
    name = layer.node.outputs[0].name if layer.bias is None else layer.bias.node.outputs[0].name
    sums = np.zeros((2, 2), object)
    count = 0
    with cut.session([name]) as now, original.session([name]) as before:
        for feed in feeds:
            made = now.run(feed)[name]
            wanted = alike(before.run(feed)[name], made, name, kept)
            axes = tuple(axis for axis in range(made.ndim) if axis != (1 if layer.convolves else made.ndim - 1))
            count += made.size // made.shape[1 if layer.convolves else -1]
            for row, values in enumerate((made.astype(np.float64), wanted.astype(np.float64))):
                sums[row, 0] = sums[row, 0] + values.sum(axis=axes)
                sums[row, 1] = sums[row, 1] + np.square(values).sum(axis=axes)
    means, squares = sums[:, 0] / count, sums[:, 1] / count
    (a, b), (c, d) = means, squares
    return (a, np.maximum(c - a * a, 0)), (b, np.maximum(d - b * b, 0))
