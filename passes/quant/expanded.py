"""Weights that take less room in the file, and are expanded to floats where they are read.

Runtimes fold the expansion when they load the model, or do it each time: files get smaller, but no model faster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

from graphopt.calibration.ranges import ranges
from graphopt.data.source import Data
from graphopt.ir import dtypes, walk
from graphopt.ir.edit import UNNAMED, Rewrite
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import MATRIX, Array, Constant, Graph, Node, Stored, Tensor
from graphopt.ir.values import constant
from graphopt.numerics.contract import Lossy
from graphopt.pipeline.context import Activations, Context
from graphopt.pipeline.passes import check_names
from graphopt.rewrite.driver import Refusal
from graphopt.rewrite.tape import Builder
from passes.clean.constant_nodes import constant_nodes
from passes.quant import samples
from passes.quant.codebook import fitted
from passes.quant.grid import INT8, symmetric
from passes.quant.options import Settings
from passes.quant.prepare import raise_opset

FLOAT = np.dtype(np.float32)
LEAST = 1024
"""Weights with fewer elements are left alone: they take no room."""
CONVOLUTIONS = ("Conv", "ConvTranspose")
PRODUCTS = (*CONVOLUTIONS, "MatMul", "Gemm")
CODEBOOK_BITS = 4
FLOAT8 = np.dtype(ml_dtypes.float8_e4m3fn)
FLOAT8_LARGEST = 448.0
SINCE_CHANNELS, SINCE_FLOAT8, SINCE_UINT4 = 13, 19, 21


@dataclass(frozen=True)
class Place:
    """Where an operator has its weight. axis: along which its channels are; `turned`: the attribute that flips that."""

    position: int
    axis: int
    turned: str = ""


PLACES = {
    "Conv": Place(1, 0),
    "ConvTranspose": Place(1, 1),
    "MatMul": Place(1, -1),
    "Gemm": Place(1, 1, "transB"),
    "Gather": Place(0, 0),
}
Expand = Callable[[Builder, tuple[Constant, ...], int], Tensor]
"""Writes the expansion of stored tensors to a weight with its channels along an axis."""
Operand = Callable[[Builder, Tensor], Tensor]
"""Writes what becomes of the other operand."""
Shrink = Callable[[Array, int], tuple[Array, ...]]
"""The tensors that are stored for a weight, float32, with its channels along an axis."""


def _same(_: Builder, tensor: Tensor) -> Tensor:
    return tensor


@dataclass(eq=False)
class Writer:
    """Makes the rewrites of one scheme, named `rule`. stored: what stands for each weight, along each axis.

    operand: what becomes of what the weight multiplies. activations: that on data, for the checks.
    """

    context: Context
    rule: str
    numerics: Lossy
    shrink: Shrink
    expand: Expand
    operand: Operand = _same
    activations: Activations | None = None
    scratch: Scratch = field(default_factory=Scratch)
    stored: dict[tuple[Constant, int], tuple[Constant, ...]] = field(default_factory=dict)

    def every(self, settings: Settings, operators: Collection[str]) -> None:
        """Each call of these operators with a constant weight that is worth it, in bodies too.

        Weights leave the calls that give them first: they would stay behind.
        """
        self.context.editor.flush()
        constant_nodes(self.context)
        for graph in walk.graphs(self.context.model.graph):
            for node in list(graph.nodes):
                if not node.domain and node.op in operators and settings.wants(node):
                    self.one(graph, node)

    def one(self, graph: Graph, node: Node) -> None:
        """A call; it says why where it is left alone."""
        place = PLACES[node.op]
        held = constant(node.inputs[place.position])
        if held is None or held.size < LEAST or len(held.shape) < MATRIX:
            return
        reason = "" if held.dtype == FLOAT else f"its weight is of {dtypes.name(held.dtype)}"
        reason = reason or ("" if np.isfinite(held.values).all() else "its weights are not all finite")
        if reason:
            label = f"{node.op} {node.name or node.outputs[0].name}"
            self.context.refuse(Refusal(self.rule, label, label, 1, reason))
            return
        axis = 1 - place.axis if place.turned and node.attrs.get(place.turned) else place.axis
        new = Builder()
        weight = self.expand(new, self.tensors(held, axis % len(held.shape)), axis % len(held.shape))
        other = self.operand(new, node.inputs[1 - place.position])
        inputs = [weight, other] if place.position == 0 else [other, weight]
        inputs += node.inputs[2:]
        made = new.node(node.op, *inputs, **node.attrs)
        rewrite = Rewrite(graph, node, (node,), tuple(new.drafts), {node.outputs[0]: made}, frozenset({held}))
        self.context.apply(rewrite, self.rule, self.numerics, feeds=self.activations)

    def tensors(self, held: Constant, axis: int) -> tuple[Constant, ...]:
        """What stands for a weight."""
        if (held, axis) not in self.stored:
            arrays = self.shrink(held.values, axis)
            self.stored[held, axis] = tuple(Constant(UNNAMED, self.scratch.put(array)) for array in arrays)
            if isinstance(held.stored, Stored):
                held.stored.release()
        return self.stored[held, axis]


def convolutions(context: Context, settings: Settings) -> None:
    """Weights of convolutions in 8 bits, a scale for each channel."""
    if not any(node.op in CONVOLUTIONS and not node.domain for node in walk.nodes(context.model.graph)):
        return
    raise_opset(context, SINCE_CHANNELS)
    numerics = Lossy("sqnr", 30.0 if settings.floor is None else settings.floor)
    Writer(context, "int8_weight", numerics, _integers, _dequantised).every(settings, CONVOLUTIONS)


def codebook(context: Context, settings: Settings) -> None:
    """Weights as positions in a table of their own of 4 bits' length, or so many as `bits` says."""
    check_names(context.model, (*settings.exclude, *settings.only))
    bits = settings.bits or CODEBOOK_BITS
    raise_opset(context, SINCE_UINT4 if bits <= CODEBOOK_BITS else SINCE_CHANNELS)
    numerics = Lossy("sqnr", max(5.0 * bits - 8, 3.0) if settings.floor is None else settings.floor)

    def shrink(values: Array, _: int) -> tuple[Array, ...]:
        return fitted(values, bits)

    Writer(context, "codebook_weight", numerics, shrink, _looked_up).every(settings, (*PRODUCTS, "Gather"))


def float8(context: Context, settings: Settings) -> None:
    """Weights in 8-bit floats (e4m3), a scale for each channel; with calibration data also what they multiply.

    A target with such kernels computes a product between DequantizeLinears in them.
    """
    check_names(context.model, (*settings.exclude, *settings.only))
    raise_opset(context, SINCE_FLOAT8)
    numerics = Lossy("sqnr", 20.0 if settings.floor is None else settings.floor)
    writer = Writer(context, "float8_weight", numerics, _floats, _dequantised)
    if context.calibration is not None:
        reach = _reaches(context, context.calibration, settings)
        writer.activations = samples.feeds(_captured(context, context.calibration), {}) if context.checks else None

        def rounded(new: Builder, tensor: Tensor) -> Tensor:
            largest = reach.get(tensor.name, 0.0)
            return _through_float8(new, tensor, largest) if largest else tensor

        writer.operand = rounded
    writer.every(settings, PRODUCTS)


def _fed(context: Context) -> list[Tensor]:
    """What products are fed."""
    calls = (node for node in walk.nodes(context.model.graph) if not node.domain and node.op in PRODUCTS)
    return list(dict.fromkeys(tensor for node in calls for tensor in node.inputs[:2] if constant(tensor) is None))


def _captured(context: Context, data: Data) -> samples.Captured:
    """That on a few samples; taken once in a compile."""
    tensors = _fed(context)
    key = ("quant", "float8 samples", tuple(tensor.name for tensor in tensors))
    if key not in context.memo:
        context.memo[key] = samples.capture(context.model, data, tensors, context.bound[0])
    held: samples.Captured = context.memo[key]
    return held


def _reaches(context: Context, data: Data, settings: Settings) -> dict[str, float]:
    """The largest magnitude of what products are fed, by name; calibrated once in a compile."""
    tensors = _fed(context)
    key = ("quant", "float8", tuple(tensor.name for tensor in tensors), settings.samples)
    if key not in context.memo:
        found = ranges(context.model, data, tensors, samples=settings.samples, seed=context.seed)
        context.memo[key] = {tensor.name: max(-edges.low, edges.high) for tensor, edges in found.ranges.items()}
    reach: dict[str, float] = context.memo[key]
    return reach


def _through_float8(new: Builder, tensor: Tensor, reach: float) -> Tensor:
    """A tensor rounded to 8-bit floats."""
    scale = Constant(UNNAMED, np.array(reach / FLOAT8_LARGEST, np.float32))
    zero = Constant(UNNAMED, np.zeros((), FLOAT8))
    return new.DequantizeLinear(new.QuantizeLinear(tensor, scale, zero), scale, zero)


def _integers(values: Array, axis: int) -> tuple[Array, ...]:
    grid = symmetric(_reach(values, axis), INT8, axis=axis)
    return grid.quantise(values), grid.scale


def _floats(values: Array, axis: int) -> tuple[Array, ...]:
    scale = np.maximum(_reach(values, axis) / FLOAT8_LARGEST, np.finfo(np.float32).tiny).astype(np.float32)
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    return (values / scale.reshape(shape)).astype(FLOAT8), scale


def _reach(values: Array, axis: int) -> Array:
    others = tuple(i for i in range(values.ndim) if i != axis)
    reach: Array = np.maximum(values.max(axis=others), -values.min(axis=others))
    return reach


def _dequantised(new: Builder, stored: tuple[Constant, ...], axis: int) -> Tensor:
    return new.DequantizeLinear(*stored, axis=axis)


def _looked_up(new: Builder, stored: tuple[Constant, ...], _: int) -> Tensor:
    table, positions = stored
    return new.Gather(table, new.Cast(positions, to=dtypes.elem_type(np.int32)), axis=0)
