"""Ridge least squares: each layer in turn makes up for what is missing behind it, from what it reads now.

What is missing is the difference between the original and the cut network at the point where the layer's output is
summed up with what comes along shortcuts, so a layer also makes up for errors that bypass it. Rows are drawn from the
samples as they stream by; memory holds the second moments of one layer.
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
from passes.prune.recover.program import Feeds, Program

RIDGE = 1e-2
"""Of the mean second moment of what a layer reads: so much is added to the second moments."""
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
    original: Program, cut: Program, layer: Layer, feeds: Feeds, kept: Kept, seed: int
) -> Iterator[tuple[Array, Array]]:
    """For each batch rows of what the layer reads, and of what is missing behind it."""
    rng = np.random.default_rng(seed)
    x, y, point = layer.node.inputs[0].name, layer.node.outputs[0].name, layer.point.name
    share = rows_wanted(layer) / feeds.count
    with cut.session([x, y, point]) as now, original.session([y, point]) as before:
        for feed in feeds:
            values, wanted = now.run(feed), before.run(feed)
            at = point if values[point].shape == values[y].shape else y
            made = values[at]
            samples = made.shape[0] if made.ndim > 1 else 1
            rows = rows_of(layer.places(made), max(1, round(share * samples)), rng)
            target = alike(wanted[at], made, at, kept)
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


def recovered(
    original: Program,
    cut: Program,
    found: Iterable[Layer],
    feeds: Feeds,
    kept: Kept,
    *,
    seed: int = 0,
    ridge: float = RIDGE,
    say: Callable[[str], None] = lambda _text: None,
) -> None:
    """Fit the layers of a cut network, in their order; the weights go into `cut.weights`."""
    for layer in found:
        say(f"prune: fitting {layer.weight.tensor.name}")
        moments = gathered(missing(original, cut, layer, feeds, kept, seed))
        change = solve(moments.square, moments.cross, ridge, bias=layer.bias is not None)
        if np.isfinite(change).all():
            adjust(cut, layer, change)


def adjust(cut: Program, layer: Layer, change: Array) -> None:
    """Add a change [groups, inputs + 1, outputs] to the weights and the bias of a layer."""
    weights = held(cut, layer.weight.tensor.name, layer.weight.values)
    fitted = layer.weights(change[:, :-1], weights.shape) + weights
    cut.put(layer.weight.tensor.name, fitted.astype(np.float32))
    if layer.bias is not None:
        bias = held(cut, layer.bias.tensor.name, layer.bias.values)
        cut.put(layer.bias.tensor.name, (bias + change[:, -1].reshape(-1)).astype(np.float32))


def held(program: Program, name: str, values: Array) -> Array:
    """What a constant holds in a program."""
    return program.weights.get(name, values)
