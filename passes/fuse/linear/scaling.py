"""What rules need that move a factor or a summand for each channel into constant weights."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from graphopt.ir.dtypes import epsilon
from graphopt.ir.types import Array
from graphopt.rewrite import Const, Match, Value
from graphopt.rewrite.pattern import Node

COPY = 16384
"""Bytes of weights that a fold may duplicate because something else reads them too."""
LARGEST = 64 << 20
"""Bytes of weights that are still worked on: it takes several times as much memory, as everything is in float64."""
BROADCAST_SINCE = 7
"""Before this opset arithmetic broadcasts only as its attributes `broadcast` and `axis` say."""
SPATIAL_UNTIL = 9
"""Before this opset BatchNormalization has an attribute `spatial`."""
EPSILON = float(np.float32(1e-5))
"""What BatchNormalization adds to the variance by default; attributes hold 32 bits."""
GELU = 20
"""The first opset that has Gelu."""


def normalisation(m: Match, bn: Node, count: int) -> tuple[Array, Array]:
    """Factor and summand by which the matched BatchNormalization maps each of `count` channels.

    `bn` must be spelled `op.BatchNormalization(x, Const, Const, Const, Const)`. Refuses training mode.
    """
    m.require(not any(t.name for t in m[bn].outputs[1:]), "BatchNormalization has more outputs than the normalised one")
    m.require(not m.attr(bn, "training_mode", 0), "BatchNormalization is in training mode")
    m.require(m.opset >= BROADCAST_SINCE or m.attr(bn, "is_test", 0), "BatchNormalization is in training mode")
    m.require(m.opset >= SPATIAL_UNTIL or m.attr(bn, "spatial", 1), "BatchNormalization is not per channel")
    gamma, beta, mean, variance = (m.array(tensor) for tensor in m[bn].inputs[1:5])
    m.require(gamma.shape == beta.shape == mean.shape == variance.shape == (count,), f"there are not {count} channels")
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = gamma / np.sqrt(variance + m.attr(bn, "epsilon", EPSILON))
        return finite(m, scale), finite(m, beta - mean * scale)


def channelwise(m: Match, c: Const, rank: int, count: int, axis: int = 1) -> Array:
    """The constant operand `c` of the matched arithmetic as one number for each channel.

    rank, count, axis: of the other operand, how many dimensions it has, how many channels, and where.
    Refuses a constant that varies along another axis, or that would make the result larger than the other operand.
    """
    given = m.shape(c) or ()
    if m.opset < BROADCAST_SINCE:
        first = next((node.attrs["axis"] for node in m.nodes if "axis" in node.attrs), rank - len(given))
        given += (1,) * (rank - first % rank - len(given))
    m.require(len(given) <= rank, "the constant has more dimensions than what it is combined with")
    shape = (1,) * (rank - len(given)) + given
    across = [i for i, dim in enumerate(shape) if dim != 1 and i != axis]
    m.require(not across, f"the constant varies along axis {across and across[0]}, not along the channels")
    m.require(shape[axis] in {1, count}, f"the constant has {shape[axis]} channels, not {count}")
    return np.broadcast_to(m[c].reshape(-1), (count,))


T = TypeVar("T")


def known(m: Match, value: T | None, reason: str) -> T:
    """The value; refuses None."""
    if value is None:
        m.refuse(reason)
    return value


def reciprocal(m: Match, numbers: Array) -> Array:
    """1 / numbers; refuses zeros."""
    m.require(np.all(numbers != 0), "division by zero")
    return 1 / numbers


def finite(m: Match, numbers: Array) -> Array:
    """The numbers, none of which is NaN or infinite; refuses otherwise."""
    m.require(np.isfinite(numbers).all(), "a factor or summand is not finite")
    return numbers


def rewritable(m: Match, weights: Value) -> None:
    """Refuses weights that are too large to work on, or of which a fold would leave two noticeable copies."""
    tensor = m.tensor(weights)
    shared = len(set(tensor.outputs)) > 1 or m.is_output(tensor)
    m.require(not shared or _bytes(m, weights) <= COPY, "the weights are used elsewhere, and a second copy is large")
    readable(m, weights)


def readable(m: Match, weights: Value) -> None:
    """Refuses weights that are too large to work on."""
    m.require(_bytes(m, weights) <= LARGEST, "the weights are so large that folding would need too much memory")


def _bytes(m: Match, weights: Value) -> int:
    size = math.prod(dim for dim in m.shape(weights) or () if isinstance(dim, int))
    return size * getattr(m.dtype(weights), "itemsize", 0)


def whole_activation(m: Match, x: Value) -> None:
    """Refuses a factor of x (1 + erf(...)) or x (1 + tanh(...)): with it, this is one operator."""
    node = m[x].producer
    sums = [] if node is None or node.op != "Mul" else [tensor.producer for tensor in node.inputs]
    terms = [tensor.producer for add in sums if add is not None and add.op == "Add" for tensor in add.inputs]
    bell = any(term is not None and term.op in ("Erf", "Tanh") for term in terms)
    known = m.opset >= GELU or m.target.runs("Gelu", "com.microsoft", m.dtype(x))
    m.require(not (bell and known), "the factor is part of an activation, which is one operator with it")


def stored(m: Match, numbers: Array, like: Value) -> Array:
    """The numbers in the dtype of the tensor of `like`; refuses where that loses more than rounding would."""
    dtype = m.dtype(like)
    if dtype is None:
        m.refuse(f"the element type of {m.tensor(like).name} is unknown")
    with np.errstate(over="ignore", invalid="ignore"):
        held = numbers.astype(dtype)
        error = np.abs(held.astype(np.float64) - numbers).max(initial=0)
        largest = np.abs(numbers).max(initial=0)
    m.require(error <= epsilon(dtype) * largest, f"the folded weights do not fit {dtype}")
    return held


def unbroadcast(m: Match, x: Value, c: Const, rank: int, count: int) -> None:
    """Refuses arithmetic of `x` with a constant `c` that might give it more dimensions or channels than it has."""
    shape, given = m.shape(x), m.shape(c)
    m.require(shape is not None and len(shape) == rank, f"its input is not known to have {rank} dimensions")
    one = given is not None and all(dim == 1 for dim in given)
    m.require(one or (shape is not None and shape[1] == count), f"its input is not known to have {count} channels")
