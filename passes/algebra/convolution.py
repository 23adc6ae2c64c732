"""Matched convolutions as taps, and taps as convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.ir.types import Array, Tensor
from graphopt.rewrite import Builder, Const, Match
from graphopt.rewrite.pattern import Node
from passes.algebra.taps import Taps
from passes.fuse.linear.kernel import kernel
from passes.fuse.linear.scaling import rewritable, stored

UNIT = ("NOTSET", b"NOTSET", "VALID", b"VALID")


def taps(m: Match, conv: Node, w: Const, b: Const) -> Taps:
    """The matched Conv, spelled `op.Conv(x, w, Opt(b))`. Refuses weights that cannot be worked on."""
    rewritable(m, w)
    held = kernel(m, conv, w)
    spatial = held.rank - 2
    m.require(m.attr(conv, "auto_pad", "NOTSET") in UNIT, "the padding depends on the size of the input")
    pads = _numbers(m, conv, "pads", [0] * 2 * spatial)
    strides, dilations = (_numbers(m, conv, name, [1] * spatial) for name in ("strides", "dilations"))
    reach = [(k - 1) * d for k, d in zip(held.shape[2:], dilations, strict=True)]
    first = tuple(-pad for pad in pads[:spatial])
    trim = tuple(pad + f - r for pad, f, r in zip(pads[spatial:], (-f for f in first), reach, strict=True))
    bias: Array | None = m.get(b)
    return Taps(m[w], bias, held.group, first, tuple(strides), tuple(dilations), trim)


def convolution(m: Match, new: Builder, x: Tensor, made: Taps, like: Const) -> Tensor:
    """The Conv of `x` that computes `made`, with weights in the dtype of `like`. Refuses what Conv cannot pad."""
    m.require(all(pad >= 0 for pad in made.pads), "the sum would cut its input")
    bias = None if made.bias is None else stored(m, made.bias, like)
    return new.Conv(
        x, stored(m, made.weights, like), bias, group=made.group, kernel_shape=list(made.kernel), pads=made.pads,
        strides=list(made.strides), dilations=list(made.dilations),
    )  # fmt: skip


def _numbers(m: Match, conv: Node, name: str, default: Sequence[int]) -> list[int]:
    return [int(one) for one in m.attr(conv, name, default)]
