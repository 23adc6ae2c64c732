"""The calls that a quantised unit is written as, in one of two formats.

`QDQ`: the float call between a DequantizeLinear of each operand and a QuantizeLinear of its result. Runtimes that know
the pattern take their integer kernel, all others compute the same in floats. `QOperator`: the integer kernel itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Array, Constant, Graph, Node, Tensor, Variable
from graphopt.ir.values import constant
from passes.quant.activations import readings, reread
from passes.quant.grid import Grid
from passes.quant.kernels import Integers, Role
from passes.quant.plan import Plan, Weight, bias_grid
from passes.quant.tuning import Layout, Step
from passes.quant.units import Unit

MICROSOFT = "com.microsoft"
CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, eq=False)
class Held:
    """A float tensor's integers, and the tensor that has them in floats again, if one does already."""

    integers: Tensor
    floats: Tensor | None
    grid: Grid


@dataclass(eq=False)
class Written:
    """The calls for one unit. held: what is quantised after them, by float tensor."""

    drafts: list[Draft] = field(default_factory=list)
    replace: dict[Tensor, Tensor] = field(default_factory=dict)
    held: dict[Tensor, Held] = field(default_factory=dict)
    before: list[Node] = field(default_factory=list)
    reads: list[Constant] = field(default_factory=list)

    def call(self, op: str, inputs: Sequence[Tensor], domain: str = "", name: str = "", **attrs: Any) -> Variable:
        """Add a call, and give its result."""
        made = Variable(UNNAMED)
        self.drafts.append(Draft(op, list(inputs), [made], attrs, domain, name, bare=op in CONVERSIONS))
        return made

    def rewrite(self, graph: Graph, unit: Unit) -> Rewrite:
        """The replacement of the unit, placed where its last call was."""
        before = (*dict.fromkeys(self.before), *unit.nodes)
        return Rewrite(graph, unit.nodes[-1], before, tuple(self.drafts), self.replace, frozenset(self.reads))


class Writer:
    """Writes the units of a plan, one after the other, in the order of the graph.

    layouts: how units are written differently, by name. held: the integers of the tensors that have been quantised so
    far.
    """

    def __init__(self, plan: Plan, integers: Integers, layouts: Mapping[str, Layout] | None = None) -> None:
        self.plan, self.integers = plan, integers
        self.layouts = layouts or {}
        self.held: dict[Tensor, Held] = {}
        self._constants: dict[Hashable, Constant] = {}

    def unit(self, unit: Unit) -> Written:
        """The calls for a unit."""
        raise NotImplementedError

    def constant(self, values: Array) -> Constant:
        """A constant with these values; the same for equal ones."""
        key = (values.dtype.name, values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = Constant(UNNAMED, values)
        return self._constants[key]

    def grid(self, grid: Grid) -> tuple[Constant, Constant]:
        """The scale and the zero of a grid."""
        return self.constant(grid.scale), self.constant(grid.zero)

    def integers_of(self, tensor: Tensor, written: Written) -> Held:
        """The integers of an activation: those that are there, a constant's, or those of a new QuantizeLinear."""
        held = written.held.get(tensor) or self.held.get(tensor)
        if held is not None:
            return held
        grid = self.plan.grids[tensor.name]
        values = constant(tensor)
        if values is not None:
            written.reads.append(values)
            made: Tensor = self.constant(grid.quantise(np.asarray(values.values)))
        else:
            made = written.call("QuantizeLinear", [tensor, *self.grid(grid)])
        written.held[tensor] = Held(made, None, grid)
        return written.held[tensor]

    def layout(self, unit: Unit) -> Layout:
        """How the unit is written."""
        return self.layouts.get(unit.name, Layout({}))

    def stepped(self, integers: Tensor, steps: Sequence[Step], written: Written) -> Tensor:
        """The integers, after some calls on them."""
        for step in steps:
            constants = (self.constant(values) for values in step.constants)
            integers = written.call(step.op, [integers, *constants], **step.attrs)
        return integers

    def read(self, tensor: Tensor, integers: Tensor, written: Written) -> Tensor:
        """A tensor of the plan as the floats that integers stand for on its grid."""
        grid = self.plan.grids[tensor.name]
        floats = written.call("DequantizeLinear", [integers, *self.grid(grid)])
        written.held[tensor] = Held(integers, floats, grid)
        return floats

    def activated(self, unit: Unit, activation: Node, integers: Tensor, written: Written) -> Tensor:
        """The result of a unit whose activation function reads these integers, on the grid that it needs.

        Some functions are another reading of them; the others are made of two readings.
        """
        grid = self.plan.grids[unit.node.outputs[0].name]
        if reread(activation.op, grid):
            return self.read(unit.outputs[0], integers, written)
        made, cut = readings(activation.op, grid), integers
        if made.low > grid.low or made.high < grid.high:
            edges = (self.constant(np.asarray(edge, grid.dtype)) for edge in (made.low, made.high))
            cut = written.call("Clip", [integers, *edges])
        return self.combined(unit, made.op, tuple(zip((integers, cut), made.grids, strict=True)), written)

    def combined(self, unit: Unit, op: str, operands: Sequence[tuple[Tensor, Grid]], written: Written) -> Tensor:
        """The result of a unit as the product (Mul) or sum (Add) of integers, each read on a grid."""
        raise NotImplementedError

    def commit(self, written: Written) -> None:
        """Take note that the calls are in the model: each tensor that was replaced is now the one that replaced it."""
        stands = {new: old for old, new in written.replace.items()}
        for tensor, held in written.held.items():
            floats = None if held.floats is None else stands.get(held.floats, held.floats)
            self.held[tensor] = Held(held.integers, floats, held.grid)


class QDQ(Writer):
    """Float calls between conversions.

    The bias of a convolution stays float: ONNX Runtime rounds it to the grid of the sums as it loads the model, so
    that the file need not hold a scale for each element. That of a matrix product it would not.
    """

    def unit(self, unit: Unit) -> Written:
        """The calls for a unit."""
        written = Written()
        operands, layout = list(unit.node.inputs), self.layout(unit)
        for place, steps in layout.steps.items():
            operand = operands[place]
            if operand in self.held and operand.producer is not None:
                written.before.append(operand.producer)
            held = self.integers_of(operand, written)
            integers = self.stepped(held.integers, steps, written)
            operands[place] = written.call("DequantizeLinear", [integers, *self.grid(held.grid)])
        for tensor in dict.fromkeys(unit.data):
            if tensor not in operands or self._read_in_floats(unit, tensor):
                continue
            floats = self.floats_of(tensor, written)
            operands = [floats if operand is tensor else operand for operand in operands]
        if unit.weight is not None:
            self._weight(unit, operands, written)
        results = [Variable(UNNAMED) for _ in unit.node.outputs]
        node = unit.node
        attrs = {**node.attrs, **layout.attrs}
        written.drafts.append(Draft(node.op, operands, results, attrs, node.domain, node.name))
        if unit.activation is not None and unit.inner is not None:
            integers = written.call("QuantizeLinear", [results[0], *self.grid(self.plan.grids[unit.inner.name])])
            integers = self.stepped(integers, layout.after, written)
            written.replace[unit.outputs[0]] = self.activated(unit, unit.activation, integers, written)
            return written
        if unit.activation is not None:
            after = [results[0], *unit.activation.inputs[1:]]
            own = dict(unit.activation.attrs)
            results = [written.call(unit.activation.op, after, name=unit.activation.name, **own)]
        for old, new in zip(unit.outputs, results, strict=True):
            written.replace[old] = self._result(old, new, written, layout.after)
        return written

    def floats_of(self, tensor: Tensor, written: Written) -> Tensor:
        """The activation as a DequantizeLinear gives it."""
        held = self.integers_of(tensor, written)
        if held.floats is not None:
            return held.floats
        floats = written.call("DequantizeLinear", [held.integers, *self.grid(held.grid)])
        written.held[tensor] = Held(held.integers, floats, held.grid)
        return floats

    def _read_in_floats(self, unit: Unit, tensor: Tensor) -> bool:
        """Where kernels give floats, a sum takes the result of a product as it is: the product's kernel adds."""
        product = tensor.producer
        alone = product is not None and product.op in ("Conv", "ConvTranspose") and len(tensor.outputs) == 1
        first = next((one for one in unit.data if one.producer is not None and one.producer.op == "Conv"), None)
        return not self.integers.requantises and unit.node.op == "Add" and alone and tensor is first

    def _weight(self, unit: Unit, operands: list[Tensor], written: Written) -> None:
        place, weight = unit.kernel.weight or 0, self.plan.weights[unit.name]
        operands[place] = self._dequantised(weight.values, weight.grid, written)
        written.reads += [held for held in (unit.weight, unit.bias) if held is not None]
        if weight.bias is None or unit.kernel.bias is None:
            return
        if unit.node.op == "Conv" and self.integers.activation.itemsize == 1:
            operands[unit.kernel.bias :] = [self.constant(weight.bias.astype(np.float32))]
        else:
            grid = bias_grid(self.plan.grids[unit.data[0].name], weight.grid)
            bias = self._dequantised(grid.quantise(weight.bias), grid, written)
            operands[unit.kernel.bias :] = [bias]

    def _dequantised(self, values: Array, grid: Grid, written: Written) -> Tensor:
        attrs: dict[str, Any] = {} if grid.axis is None or not grid.scale.ndim else {"axis": grid.axis}
        return written.call("DequantizeLinear", [self.constant(values), *self.grid(grid)], **attrs)

    def _result(self, old: Tensor, new: Variable, written: Written, steps: Sequence[Step] = ()) -> Tensor:
        """The tensor that takes the place of a result: itself, rounded to its grid if kernels write integers there."""
        grid = self.plan.grids.get(old.name)
        if grid is None or not self.integers.requantises:
            return new
        integers = written.call("QuantizeLinear", [new, *self.grid(grid)])
        return self.read(old, self.stepped(integers, steps, written), written)

    def combined(self, unit: Unit, op: str, operands: Sequence[tuple[Tensor, Grid]], written: Written) -> Tensor:
        """The result of a unit as the product (Mul) or sum (Add) of integers, each read on a grid."""
        read = [written.call("DequantizeLinear", [integers, *self.grid(grid)]) for integers, grid in operands]
        return self._result(unit.outputs[0], written.call(op, read, name=unit.nodes[-1].name), written)


Operands = list[Tensor]


class QOperator(Writer):
    """Integer kernels themselves."""

    def unit(self, unit: Unit) -> Written:
        """The calls for a unit."""
        written = Written()
        read = [self.integers_of(tensor, written) for tensor in unit.data]
        written.before += [tensor.producer for tensor in unit.data if tensor in self.held and tensor.producer]
        if unit.kernel.role is Role.MOVE:
            results = self._move(unit, read[0], written)
        else:
            layout = self.layout(unit)
            for place, steps in layout.steps.items():
                read[place] = replace(read[place], integers=self.stepped(read[place].integers, steps, written))
            grid = self.plan.grids[(unit.inner or unit.outputs[0]).name]
            operands, attrs = OPERANDS.get(unit.node.op, _plain)(self, unit, read, grid)
            attrs |= layout.attrs
            made = written.call(unit.kernel.linear, operands, unit.kernel.domain, unit.node.name, **attrs)
            results = [self.stepped(made, layout.after, written)]
        written.reads += [held for held in (unit.weight, unit.bias) if held is not None]
        for old, integers in zip(unit.outputs, results, strict=True):
            if unit.activation is not None and unit.inner is not None:
                written.replace[old] = self.activated(unit, unit.activation, integers, written)
            else:
                written.replace[old] = self.read(old, integers, written)
        return written

    def combined(self, unit: Unit, op: str, operands: Sequence[tuple[Tensor, Grid]], written: Written) -> Tensor:
        """The result of a unit as the product (Mul) or sum (Add) of integers, each read on a grid."""
        read = [tensor for integers, grid in operands for tensor in (integers, *self.grid(grid))]
        result = unit.outputs[0]
        read += self.grid(self.plan.grids[result.name])
        return self.read(result, written.call(f"QLinear{op}", read, MICROSOFT, unit.nodes[-1].name), written)

    def _move(self, unit: Unit, read: Held, written: Written) -> list[Variable]:
        results = [Variable(UNNAMED) for _ in unit.node.outputs]
        operands = [read.integers, *unit.node.inputs[1:]]
        written.drafts.append(Draft(unit.node.op, operands, results, dict(unit.node.attrs), "", unit.node.name))
        return results

    def of(self, held: Held) -> Operands:
        """An operand: its integers, scale and zero."""
        return [held.integers, *self.grid(held.grid)]

    def weight(self, unit: Unit) -> tuple[Operands, Operands]:
        """The weight of a unit: integers, scale and zero; and its bias, as integers, if it has one."""
        weight = self.plan.weights[unit.name]
        return [self.constant(weight.values), *self.grid(weight.grid)], self._bias(unit, weight)

    def _bias(self, unit: Unit, weight: Weight) -> Operands:
        if weight.bias is None:
            return []
        grid = bias_grid(self.plan.grids[unit.data[0].name], weight.grid)
        return [self.constant(grid.quantise(weight.bias))]


Made = tuple[Operands, dict[str, Any]]


def _plain(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    operands = [tensor for held in read for tensor in writer.of(held)]
    return [*operands, *writer.grid(grid)], dict(unit.node.attrs)


def _conv(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    weight, bias = writer.weight(unit)
    return [*writer.of(read[0]), *weight, *writer.grid(grid), *bias], dict(unit.node.attrs)


def _matmul(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    right = writer.of(read[1]) if unit.weight is None else writer.weight(unit)[0]
    return [*writer.of(read[0]), *right, *writer.grid(grid)], {}


def _gemm(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    weight, bias = writer.weight(unit)
    attrs = {name: value for name, value in unit.node.attrs.items() if name != "beta"}
    omitted: Operands = [Variable.empty()]
    return [*writer.of(read[0]), *weight, *(bias or omitted), *writer.grid(grid)], attrs


def _concat(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    operands = [tensor for held in read for tensor in writer.of(held)]
    return [*writer.grid(grid), *operands], dict(unit.node.attrs)


def _where(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    operands, attrs = _plain(writer, unit, read, grid)
    return [unit.node.inputs[0], *operands], attrs


def _global_pool(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    operands, attrs = _plain(writer, unit, read, grid)
    return operands, {**attrs, "channels_last": 0}


def _softmax(writer: QOperator, unit: Unit, read: Sequence[Held], grid: Grid) -> Made:
    operands, attrs = _plain(writer, unit, read, grid)
    return operands, {"axis": -1, **attrs, "opset": 13}


OPERANDS = {
    "Conv": _conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Concat": _concat,
    "Where": _where,
    "GlobalAveragePool": _global_pool,
    "Softmax": _softmax,
}
"""The operands of kernels that do not take operands and result in the usual order."""
WRITERS = {"qdq": QDQ, "qoperator": QOperator}
