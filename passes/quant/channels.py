"""Convolutions with as many channels as the integer kernels of x86 take: in sixteens if depthwise, else in fours.

Channels of zeros are added where they arise, in the convolutions before, and dropped in those after: what lies between
works channel by channel. The kernels for other numbers of channels take up to three times as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.ir.edit import UNNAMED, Draft, Editor, Rewrite
from graphopt.ir.types import MATRIX, Array, Constant, Node, Tensor, Variable
from graphopt.ir.values import constant
from graphopt.numerics.contract import Close
from graphopt.pipeline.context import Context

RULE = "channels_of_zeros"
DEPTHWISE, FULL, LEAST = 16, 4, 16
"""What the channels of depthwise and of other convolutions are a multiple of, and the fewest of the latter."""
GROWTH = 0.25
"""The greatest share of channels that is added: more makes files larger than it makes runs shorter."""
UNARY = frozenset({
    "Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Identity",
    "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool",
})  # fmt: skip
"""What computes each channel of its first operand on its own, and finite numbers from zeros."""
BINARY = frozenset({"Add", "Mul"})


@dataclass(eq=False)
class Region:
    """What lies between convolutions over all channels.

    missing: how many channels of zeros it gets. sources, sinks: the convolutions that make and read the channels.
    """

    channels: int
    missing: int
    tensors: dict[Tensor, None] = field(default_factory=dict)
    inner: dict[Node, None] = field(default_factory=dict)
    sources: dict[Node, None] = field(default_factory=dict)
    sinks: dict[Node, None] = field(default_factory=dict)

    @property
    def nodes(self) -> set[Node]:
        """All of its calls."""
        return {*self.inner, *self.sources, *self.sinks}


def widen(context: Context) -> None:
    """Widen every region around a convolution that has other numbers of channels."""
    for missing in (_missing_depthwise, _missing_full):
        context.begin(context.step)
        seen: set[Node] = set()
        for node in list(context.model.graph.nodes):
            count = missing(node, context.shapes) if node not in seen and context.editor.alive(node) else 0
            region = _region(node, count, context.editor, context.shapes) if count else None
            if region is not None:
                seen |= region.nodes
                context.apply(_widened(region, context), RULE, Close(16))
    context.begin(context.step)


def _missing_depthwise(node: Node, _shapes: Shapes) -> int:
    """How many channels a depthwise convolution lacks."""
    channels = int(node.attrs["group"]) if _is_depthwise(node) else 0
    return _bounded(-channels % DEPTHWISE, channels)


def _missing_full(node: Node, shapes: Shapes) -> int:
    """How many channels another convolution lacks, unless it makes single pixels: these take no time."""
    shape = shapes.shape(node.outputs[0]) if _is_full(node) else None
    if shape is None or not isinstance(shape[1], int) or set(shape[2:]) == {1}:
        return 0
    return _bounded(max(LEAST - shape[1], -shape[1] % FULL), shape[1])


def _bounded(missing: int, channels: int) -> int:
    return missing if missing <= GROWTH * channels else 0


def _is_depthwise(node: Node) -> bool:
    weight = constant(node.inputs[1]) if node.op == "Conv" and not node.domain else None
    return weight is not None and len(weight.shape) > MATRIX and weight.shape[0] == node.attrs.get("group", 1) > 1


def _is_full(node: Node) -> bool:
    operands = [constant(tensor) for tensor in node.inputs[1:] if tensor.name]
    return node.op == "Conv" and not node.domain and node.attrs.get("group", 1) == 1 and None not in operands


def _region(start: Node, missing: int, editor: Editor, shapes: Shapes) -> Region | None:
    """The region around a convolution; None if something in it does not work channel by channel."""
    channels = (shapes.shape(start.outputs[0]) or (None, None))[1]
    if not isinstance(channels, int):
        return None
    region, waiting = Region(channels, missing), [start.outputs[0]]
    while waiting:
        tensor = waiting.pop()
        if tensor in region.tensors:
            continue
        region.tensors[tensor] = None
        shape = shapes.shape(tensor)
        if editor.is_output(tensor) or tensor.producer is None or shape is None or shape[1:2] != (channels,):
            return None
        if not _take(tensor.producer, tensor, region, region.sources, waiting):
            return None
        for reader in tensor.outputs:
            if editor.home[reader] is not editor.home[start]:
                return None
            if not _take(reader, tensor, region, region.sinks, waiting):
                return None
    return region if region.sources and region.sinks else None


def _take(node: Node, tensor: Tensor, region: Region, ends: dict[Node, None], waiting: list[Tensor]) -> bool:
    """Take a call into the region: as one of its ends, or with all that it reads and computes."""
    if _is_full(node):
        ends[node] = None
        return tensor is node.outputs[0] or tensor is node.inputs[0]
    unary = not node.domain and node.op in UNARY and len(node.outputs) == 1
    if _is_depthwise(node) or unary:
        read = node.inputs[:1]
    elif not node.domain and node.op in BINARY:
        read = list(node.inputs)
    else:
        return False
    region.inner[node] = None
    waiting += [*read, *node.outputs]
    return True


def _widened(region: Region, context: Context) -> Rewrite:
    """The region with channels of zeros."""
    made: dict[Tensor, Tensor] = {}
    drafts: list[Draft] = []
    reads: list[Constant] = []
    nodes = [node for node in context.model.graph.nodes if node in region.nodes]
    for node in nodes:
        operands = [made.get(tensor, tensor) for tensor in node.inputs]
        attrs = dict(node.attrs)
        if node.op == "Conv":
            reads += _held(node.inputs[1:])
            operands[1:] = [_filled(tensor, node, region) for tensor in node.inputs[1:]]
            if node in region.inner:
                attrs["group"] = region.channels + region.missing
        results = [Variable(UNNAMED) for _ in node.outputs]
        made |= zip(node.outputs, results, strict=True)
        drafts.append(Draft(node.op, operands, results, attrs, node.domain, node.name))
    replace = {
        node.outputs[0]: made[node.outputs[0]] for node in nodes if node in region.sinks and node not in region.sources
    }
    return Rewrite(context.model.graph, nodes[-1], tuple(nodes), tuple(drafts), replace, frozenset(reads))


def _held(tensors: Iterable[Tensor]) -> list[Constant]:
    return [tensor for tensor in tensors if isinstance(tensor, Constant)]


def _filled(tensor: Tensor, node: Node, region: Region) -> Tensor:
    """A weight or bias with zeros for the channels that are added."""
    held = constant(tensor)
    if held is None:
        return tensor
    made = 0 if node in region.sinks and node not in region.sources else region.missing
    read = region.missing if node in region.sinks else 0
    added = [(0, made), (0, read), *[(0, 0)] * len(held.shape)][: len(held.shape)]
    values: Array = np.pad(np.asarray(held.values), added)
    return Constant(UNNAMED, values)
