"""Quantisation that a model has already: recognised, and lifted to floats with the grids that it had.

A QuantizeLinear and the DequantizeLinear behind it go, and the grid between them is remembered for the tensor; integers
that are constant become floats. What follows can quantise the float model anew, or on the same grids: so a model from
quantisation-aware training keeps what it learnt, and gets its conversions where integer kernels fire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from graphopt.ir import walk
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Graph, Node, Tensor, Variable
from graphopt.ir.values import constant, given, identical
from graphopt.numerics.contract import Close, Judged
from graphopt.pipeline.context import Context
from passes.fold.constants import substitute
from passes.quant.apart import take_apart
from passes.quant.grid import Grid, limits
from passes.quant.kernels import ORT_CPU, Role

RULE = "dequantised"
MARKS = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinear", "QGemm", "MatMulInteger", "ConvInteger",
    "DynamicQuantize", "MatMulNBits", "QAttention", "QEmbedLayerNormalization", "GatherBlockQuantized",
)  # fmt: skip
"""What the names of operators that compute with quantised numbers begin with."""
MOVES = frozenset({op for op, kernel in ORT_CPU.items() if kernel.role is Role.MOVE} | {"Pad"})
PADDING = 2
"""The position of what Pad pads with."""


@dataclass
class Given:
    """What a model said about its grids, by the names of float tensors. weights: the integers too."""

    activations: dict[str, Grid] = field(default_factory=dict)
    weights: dict[str, tuple[Array, Grid]] = field(default_factory=dict)


def quantised(model: Model) -> Counter[str]:
    """How often each operator occurs that computes with quantised numbers."""
    return Counter(node.op for node in walk.nodes(model.graph) if node.op.startswith(MARKS))


def lift(context: Context) -> Given:
    """Replace quantisation by floats. Returns the grids that were there."""
    given = Given()
    context.editor.flush()
    for graph in walk.graphs(context.model.graph):
        for node in list(graph.nodes):
            take_apart(context, graph, node)
    context.begin(context.step)
    for graph in walk.graphs(context.model.graph):
        for node in list(graph.nodes):
            if node.op in MOVES and not node.domain:
                _lower(context, graph, node)
    context.begin(context.step)
    for graph in walk.graphs(context.model.graph):
        for node in list(graph.nodes):
            if node.op == "DequantizeLinear" and context.editor.alive(node):
                _lift(context, graph, node, given)
    context.begin(context.step)
    left = quantised(context.model)
    if left:
        named = ", ".join(f"{count} {op}" for op, count in sorted(left.items()))
        context.note(f"quantisation that could not be taken back stays as it is: {named}")
    return given


def _lower(context: Context, graph: Graph, node: Node) -> None:
    """What moves integers that a QuantizeLinear gave moves floats, and its result is rounded to the same grid."""
    down = node.inputs[0].producer if node.inputs else None
    grid = grid_of(down) if down is not None and down.op == "QuantizeLinear" else None
    if down is None or grid is None or grid.scale.ndim or len(node.outputs) > 1:
        return
    parameters = down.inputs[1:]
    floats, moved, integers = (Variable(UNNAMED) for _ in range(3))
    operands = [floats, *node.inputs[1:]]
    if node.op == "Pad" and len(operands) > PADDING and operands[PADDING].name:
        filling = constant(operands[PADDING])
        if filling is None:
            return
        operands[PADDING] = Constant(UNNAMED, grid.dequantise(np.asarray(filling.values)))
    drafts = (
        Draft("DequantizeLinear", [down.outputs[0], *parameters], [floats]),
        Draft(node.op, operands, [moved], dict(node.attrs), name=node.name),
        Draft("QuantizeLinear", [moved, *parameters], [integers]),
    )
    reads = frozenset(tensor for tensor in node.inputs if isinstance(tensor, Constant))
    context.apply(Rewrite(graph, node, (node,), drafts, {node.outputs[0]: integers}, reads), RULE, Close(1))


def _lift(context: Context, graph: Graph, node: Node, given: Given) -> None:
    grid, source = grid_of(node), node.inputs[0].producer
    if grid is None:
        return
    held = constant(node.inputs[0])
    if held is not None:
        _weight(context, node, np.asarray(held.values), grid, given)
    elif source is not None and source.op == "QuantizeLinear" and _agree(source, grid):
        floats = constant(source.inputs[0])
        if floats is not None:
            _weight(context, node, grid.quantise(np.asarray(floats.values, np.float64)), grid, given)
        else:
            _pair(context, graph, source, node, grid, given)


def _weight(context: Context, node: Node, integers: Array, grid: Grid, given: Given) -> None:
    """Constant integers become the floats that they stand for."""
    result, source = node.outputs[0], node.inputs[0].producer
    reads = frozenset(tensor for tensor in _upstream(node) if isinstance(tensor, Constant))
    if substitute(context, node, {result: grid.dequantise(integers)}, RULE, numerics=Close(1), reads=reads):
        given.weights[result.name] = integers, grid
        if source is not None:
            context.editor.remove_unused([source])


def _upstream(node: Node) -> Iterator[Tensor]:
    """What a DequantizeLinear reads, and the QuantizeLinear before it."""
    yield from node.inputs
    if node.inputs[0].producer is not None:
        yield from node.inputs[0].producer.inputs


def _pair(context: Context, graph: Graph, down: Node, up: Node, grid: Grid, given: Given) -> None:
    """A QuantizeLinear with its DequantizeLinear goes; what the saturation between them cut is cut by an operator."""
    source, result = down.inputs[0], up.outputs[0]
    names = {source.name, result.name}  # where one of them is an output of the model, that is the name that stays
    drafts: list[Draft] = []
    replacement: Tensor = source
    if not grid.scale.ndim and grid.zero == grid.low and not _cut_already(source):
        replacement = made = Variable(UNNAMED)
        drafts.append(Draft("Relu", [source], [made]))
        names = {result.name}
    rewrite = Rewrite(graph, up, (down, up), tuple(drafts), {result: replacement})
    if context.apply(rewrite, RULE, Judged()) is not None and not grid.scale.ndim:
        for name in names:
            given.activations.setdefault(name, grid)


def _cut_already(tensor: Tensor) -> bool:
    """Whether it is plain that nothing is below zero: what comes out of a Relu, or was never anything else."""
    seen = tensor.producer
    moves = {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Concat", "DequantizeLinear"}
    while seen is not None and seen.op in moves:
        seen = seen.inputs[0].producer
    return seen is None or seen.op in {"Relu", "Clip", "Sigmoid", "Softmax", "HardSigmoid", "Abs"}


def _agree(node: Node, grid: Grid) -> bool:
    other = grid_of(node)
    return other is not None and identical(other.scale, grid.scale) and identical(other.zero, grid.zero)


def grid_of(node: Node) -> Grid | None:
    """The grid of a QuantizeLinear or DequantizeLinear; None where it is computed, or has blocks."""
    second = given(node, 2)
    scale, zero = constant(node.inputs[1]), None if second is None else constant(second)
    if scale is None or scale.dtype != np.float32 or node.attrs.get("block_size", 0):
        return None
    if zero is None and second is not None:
        return None
    scales = np.asarray(scale.values)
    held = constant(node.inputs[0])
    dtype = zero.dtype if zero is not None else held.dtype if held is not None else np.dtype(np.uint8)
    zeros = np.zeros(scales.shape, dtype) if zero is None else np.asarray(zero.values)
    if scales.size == 1:
        scales, zeros = scales.reshape(()), zeros.reshape(())
    if dtype.kind not in "iu":
        return None
    low, high = limits(dtype)
    return Grid(dtype, scales, zeros, low, high, int(node.attrs.get("axis", 1)) if scales.ndim else None)
