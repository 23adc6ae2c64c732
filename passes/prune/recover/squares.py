"""Ridge least squares: each layer in turn makes up for what is missing behind it, from what it reads now.

What is missing is the difference between the original and the cut network at the point where the layer's output is
summed up with what comes along shortcuts, so a layer also makes up for errors that bypass it. Rows are drawn from the
samples as they stream by; memory holds the second moments of one layer. Some samples are held back: by what is missing
in them the ridge is chosen, and whether the layer changes at all.
He et al., Channel Pruning for Accelerating Very Deep Neural Networks, 2017; the residual as target as in their section
3.3 on multi-branch networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.ir.types import Array
from passes.prune.recover.elimination import solve_in_place
from passes.prune.recover.layers import Layer, rows_of, unknowns
from passes.prune.recover.program import Feeds, Part, Program

RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the mean second moment of what a layer reads: so much is added to the second moments, by one of these."""
RIDGE = 1e-2
"""The same where nothing is fitted yet, and atoms are put in order."""
CHECKED = 1 << 26
"""Bytes of rows from samples held back that are kept at once, to judge a layer by."""
ROWS_PER_UNKNOWN, LEAST_ROWS, MOST_ROWS = 64, 1 << 15, 1 << 17
TINY = float(np.finfo(np.float32).tiny)
Kept = Mapping[tuple[str, int], Array]
"""For a tensor's name and an axis the original indices that are still there, where some are not."""


@dataclass(frozen=True)
class Moments:
    """Sums over rows: `square` [groups, inputs + 1, inputs + 1] of products of inputs, and `cross`
    [groups, inputs + 1, outputs] of inputs with targets. The last input is 1, for a bias."""

    square: Array
    cross: Array
    rows: int


def rows_wanted(layer: Layer) -> int:
    """Rows from which a layer is fitted."""
    return int(np.clip(ROWS_PER_UNKNOWN * unknowns(layer), LEAST_ROWS, MOST_ROWS))


def rows_checked(layer: Layer) -> int:
    """Rows by which the fit of a layer is judged."""
    weights = layer.weight.values
    width = layer.groups * unknowns(layer) + weights.size // max(1, unknowns(layer))
    return max(1, min(rows_wanted(layer) // 2, CHECKED // (weights.itemsize * width)))


def with_one(x: Array) -> Array:
    """Inputs [rows, groups, inputs] with a last one that is 1."""
    return np.concatenate([x, np.ones((*x.shape[:2], 1), x.dtype)], axis=2)


def products(x: Array, y: Array) -> Array:
    """Sums over rows of x' y, by group."""
    found: Array = np.matmul(x.transpose(1, 2, 0), y.transpose(1, 0, 2))
    return found


def added(total: Array | None, found: Array) -> Array:
    """A running sum in float64; None before the first."""
    if total is None:
        return found.astype(np.float64)
    total += found
    return total


def solve(square: Array, cross: Array, ridge: float, *, bias: bool) -> Array:
    """The change of weights and bias [groups, inputs + 1, outputs] that explains most of the targets; both arguments
    are used up."""
    size = square.shape[-1] if bias else square.shape[-1] - 1
    a, found = square[:, :size, :size], cross[:, :size]
    diagonal = np.einsum("gii->gi", a)
    mean = diagonal[:, : square.shape[-1] - 1].mean(axis=1, keepdims=True)
    floor = max(float(mean.max()), TINY) * 1e-9
    diagonal[:, : square.shape[-1] - 1] += ridge * mean
    diagonal += floor
    solve_in_place(a, found)
    cross[:, size:] = 0.0
    return cross


def missing(
    original: Program, cut: Program, layer: Layer, feeds: Part, kept: Kept, seed: int, wanted: int
) -> Iterator[tuple[Array, Array]]:
    """For each batch rows of what the layer reads, and of what is missing behind it; about `wanted` in all."""
    rng = np.random.default_rng(seed)
    x, y, point = layer.node.inputs[0].name, layer.node.outputs[0].name, layer.point.name
    share = wanted / max(1, feeds.count)
    with cut.session([x, y, point]) as now, original.session([y, point]) as before:
        for feed in feeds:
            values, full = now.run(feed), before.run(feed)
            at = point if values[point].shape == values[y].shape else y
            made = values[at]
            samples = made.shape[0] if made.ndim > 1 else 1
            rows = rows_of(layer.places(made), max(1, round(share * samples)), rng)
            target = alike(full[at], made, at, kept)
            gap = layer.outputs(target, rows) - layer.outputs(made, rows)
            yield layer.inputs(values[x], made.shape, rows), gap


def alike(original: Array, made: Array, name: str, kept: Kept) -> Array:
    """What the original gives, where the cut network gives something too."""
    for axis in range(original.ndim):
        if original.shape[axis] != made.shape[axis]:
            original = np.take(original, kept[name, axis], axis)
    return original


def gathered(pairs: Iterable[tuple[Array, Array]]) -> Moments:
    """The moments of batches of rows."""
    square: Array | None = None
    cross: Array | None = None
    rows = 0
    for x, gap in pairs:
        inputs = with_one(x)
        square, cross = added(square, products(inputs, inputs)), added(cross, products(inputs, gap))
        rows += len(x)
    return Moments(np.asarray(square), np.asarray(cross), rows)


class Check:
    """Rows of samples that nothing was fitted to, as `missing` gives them, by which changes of a layer are judged."""

    def __init__(self, pairs: Iterable[tuple[Array, Array]]) -> None:
        self.pairs = [(with_one(x), gap) for x, gap in pairs]

    def error(self, change: Array | None = None) -> float:
        """The sum of squares of what is missing still, after a change [groups, inputs + 1, outputs] or none."""
        fitted = None if change is None else change.astype(np.float32)
        return sum(float(np.square(self._left(x, gap, fitted), dtype=np.float64).sum()) for x, gap in self.pairs)

    @staticmethod
    def _left(x: Array, gap: Array, change: Array | None) -> Array:
        return gap if change is None else gap - np.matmul(x.transpose(1, 0, 2), change).transpose(1, 0, 2)


def best(moments: Moments, check: Check, *, bias: bool) -> Array | None:
    """The change of weights and bias [groups, inputs + 1, outputs] with which least is missing in samples that were
    held back, of those that ridges lead to, from the weakest on as long as it gets less; None if no change is best."""
    found, least, before = None, check.error(), np.inf
    for ridge in RIDGES:
        change = solve(moments.square.copy(), moments.cross.copy(), ridge, bias=bias)
        error = check.error(change)
        if error < least:
            found, least = change, error
        if error > before:
            break
        before = error
    return found


def recovered(
    original: Program,
    cut: Program,
    found: Iterable[Layer],
    feeds: Feeds,
    kept: Kept,
    *,
    seed: int = 0,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[Layer]:
    """Fit the layers of a cut network, in their order, as far as samples that are held back gain by it; the weights
    go into `cut.weights`. Gives each layer when it was fitted."""
    fitted, held = feeds.fitted, feeds.held
    for layer in found:
        say(f"prune: fitting {layer.weight.tensor.name}")
        check = Check(missing(original, cut, layer, held, kept, seed, rows_checked(layer)))
        if not check.error():
            continue
        moments = gathered(missing(original, cut, layer, fitted, kept, seed, rows_wanted(layer)))
        change = best(moments, check, bias=layer.bias is not None)
        if change is not None:
            adjust(cut, layer, change)
            yield layer


def adjust(cut: Program, layer: Layer, change: Array) -> None:
    """Add a change [groups, inputs + 1, outputs] to the weights and the bias of a layer."""
    weights = today(cut, layer.weight.tensor.name, layer.weight.values)
    fitted = layer.weights(change[:, :-1], weights.shape) + weights
    cut.put(layer.weight.tensor.name, fitted.astype(np.float32))
    if layer.bias is not None:
        bias = today(cut, layer.bias.tensor.name, layer.bias.values)
        cut.put(layer.bias.tensor.name, (bias + change[:, -1].reshape(-1)).astype(np.float32))


def today(program: Program, name: str, values: Array) -> Array:
    """What a constant holds in a program."""
    return program.weights.get(name, values)
