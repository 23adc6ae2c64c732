"""Convolutions of the same input whose results are joined."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Close, Match, op, rule
from graphopt.ir import values
from graphopt.ir.types import Node, Tensor
from graphopt.rewrite.pattern import Rest

parts = Rest("parts")
joined = op.Concat(parts, axis=lambda axis: axis in {1, -3})
BIAS = 2
LARGEST = 64 << 20


@rule(joined, numerics=Close(16))
def concat_conv(m: Match, new: Builder) -> Tensor:
    """Convolutions of one input that differ in nothing but their weights, joined by channels, are one convolution."""
    convs = [tensor.producer for tensor in m[parts]]
    m.require(len(convs) > 1 and m.attr(joined, "axis") % (m.rank(joined) or 1) == 1, "it does not join channels")
    first = convs[0]
    for tensor, conv in zip(m[parts], convs, strict=True):
        if conv is None or first is None or conv.op != "Conv" or conv.domain:
            m.refuse(f"{tensor.name} is not made by a Conv")
        alike = conv.inputs[0] is first.inputs[0] and _settings(m, conv) == _settings(m, first)
        m.require(alike, "the convolutions differ in more than their weights")
        m.require(set(tensor.outputs) == {m.root} and not m.is_output(tensor), f"{tensor.name} is used elsewhere too")
    nodes = [conv for conv in dict.fromkeys(convs) if conv is not None]
    m.require(len(nodes) == len(convs), "one of them is joined twice")
    weights = np.concatenate([_constant(m, conv, 1) for conv in nodes])
    biases = [_constant(m, conv, BIAS) for conv in nodes] if values.given(nodes[0], BIAS) is not None else []
    m.claim(*nodes)
    return new.Conv(nodes[0].inputs[0], weights, np.concatenate(biases) if biases else None, **nodes[0].attrs)


def _settings(m: Match, conv: Node) -> object:
    """What must be equal: attributes without defaults, the kernel, whether there is a bias; no groups."""
    m.require(conv.attrs.get("group", 1) == 1, "a convolution has groups")
    attrs = {name: value for name, value in conv.attrs.items() if name != "group"}
    return attrs, conv.inputs[1].shape and tuple(conv.inputs[1].shape[1:]), values.given(conv, BIAS) is None


def _constant(m: Match, conv: Node, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    tensor = conv.inputs[index]
    held = values.constant(tensor)
    if held is None or held.nbytes > LARGEST or len(set(tensor.outputs)) > 1:
        m.refuse(f"{tensor.name} is not constant, shared, or very large")
    m.array(tensor)
    return held.values
