"""The float model with switches: one for each unit, that makes it compute as if it were quantised.

What quantisation does to the numbers is done in floats: operands and results are rounded to their grids wherever the
switch of the unit is on. One session so gives what any choice of units does to the outputs, without writing a model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from graphopt.calibration.serving import served
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Node
from graphopt.ir.values import constant
from graphopt.measure.provider import Session
from passes.quant.grid import Grid
from passes.quant.plan import Plan, bias_grid
from passes.quant.units import Unit

PREFIX = "graphopt.simulated"
SWITCHES = f"{PREFIX}.switches"
CHANNEL = 1
"""The axis of the output channels in the result of a convolution, and of a product of matrices."""
AXES_AS_INPUT = 18
"""The opset from which on ReduceMean takes its axes as an input."""


@dataclass(frozen=True)
class Simulation:
    """outputs: of the model. means: by unit, the output with the mean of each channel of its product."""

    session: Session
    units: tuple[str, ...]
    outputs: tuple[str, ...]
    means: Mapping[str, str]

    def run(self, feeds: Mapping[str, Array], on: Sequence[str] | None = None) -> dict[str, Array]:
        """What the model gives while these units, or all, are quantised. Raises ModelError."""
        switches = np.ones(len(self.units), np.bool_) if on is None else np.isin(self.units, list(on))
        return self.session.run({**feeds, SWITCHES: switches})


@contextlib.contextmanager
def simulated(model: Model, units: Sequence[Unit], plan: Plan, threads: int | None = None) -> Iterator[Simulation]:
    """The units of the plan in `model`, with switches. Raises ModelError if the model does not load."""
    chosen = [unit for unit in units if unit.name in set(plan.units)]
    outputs = tuple(tensor.name for tensor in model.graph.outputs)

    def change(proto: ModelProto) -> Mapping[str, str]:
        return _Switches(model, chosen, plan).write(proto)

    with served(model, change, threads) as (session, means):
        yield Simulation(session, tuple(unit.name for unit in chosen), outputs, means)


class _Switches:
    """Writes the nodes of a message anew, with roundings that can be switched."""

    def __init__(self, model: Model, units: Sequence[Unit], plan: Plan) -> None:
        self.model, self.plan = model, plan
        self.first: dict[Node, tuple[int, Unit]] = {unit.node: (i, unit) for i, unit in enumerate(units)}
        self.made: dict[Node, tuple[int, Unit]] = {node: (i, u) for i, u in enumerate(units) for node in u.nodes}
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.means: dict[str, str] = {}
        self.switches: dict[int, str] = {}
        self.rounded: dict[str, str] = {}
        self.count = 0

    def write(self, proto: ModelProto) -> Mapping[str, str]:
        graph = proto.graph
        for node, message in zip(self.model.graph.nodes, list(graph.node), strict=True):
            if node in self.first:
                self._operands(*self.first[node], message)
            self.nodes.append(message)
            if node in self.made:
                self._results(*self.made[node], node, message)
        del graph.node[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(self.weights)
        graph.input.append(helper.make_tensor_value_info(SWITCHES, TensorProto.BOOL, [len(self.first)]))
        graph.output.extend(
            helper.make_tensor_value_info(mean, TensorProto.FLOAT, None) for mean in self.means.values()
        )
        return self.means

    def _operands(self, index: int, unit: Unit, message: NodeProto) -> None:
        replaced: dict[str, str] = {}
        for tensor in unit.data:
            if constant(tensor) is None:
                replaced[tensor.name] = self._either(
                    index, self._rounded(tensor.name, self.plan.grids[tensor.name]), tensor.name
                )
        weight = self.plan.weights.get(unit.name)
        names = [replaced.get(name, name) for name in message.input]
        if weight is not None and unit.kernel.weight is not None:
            held = self._hold(weight.grid.dequantise(weight.values))
            names[unit.kernel.weight] = self._either(index, held, message.input[unit.kernel.weight])
            if weight.bias is not None and unit.kernel.bias is not None:
                grid = bias_grid(self.plan.grids[unit.data[0].name], weight.grid)
                rounded = self._hold(grid.rounded(weight.bias))
                there = unit.bias is not None
                plain = message.input[unit.kernel.bias] if there else self._hold(np.zeros_like(weight.bias, np.float32))
                names[unit.kernel.bias :] = [self._either(index, rounded, plain)]
        message.input[:] = names

    def _results(self, index: int, unit: Unit, node: Node, message: NodeProto) -> None:
        for place, name in enumerate(list(message.output)):
            raw = name
            if name in self.plan.grids:
                raw = message.output[place] = f"{PREFIX}.raw.{name}"
                rounded = self._rounded(raw, self.plan.grids[name])
                self._add("Where", [self._switch(index), rounded, raw], name)
            if not place and node is unit.node and has_bias(unit):
                self.means[unit.name] = self._mean(raw, node)

    def _mean(self, name: str, node: Node) -> str:
        rank = len(node.inputs[1].shape or ())
        axes = [place for place in range(rank) if place != CHANNEL]
        if self.model.graph.opset < AXES_AS_INPUT:
            return self._add("ReduceMean", [name], axes=axes, keepdims=0)
        return self._add("ReduceMean", [name, self._hold(np.array(axes, np.int64))], keepdims=0)

    def _either(self, index: int, rounded: str, plain: str) -> str:
        return self._add("Where", [self._switch(index), rounded, plain])

    def _switch(self, index: int) -> str:
        """A unit's own switch."""
        if index not in self.switches:
            self.switches[index] = self._add("Gather", [SWITCHES, self._hold(np.array(index, np.int64))])
        return self.switches[index]

    def _rounded(self, name: str, grid: Grid) -> str:
        """A tensor, rounded to a grid with one scale; the same for all that read it."""
        if name not in self.rounded:
            edges = [self._hold(grid.scale), self._hold(grid.zero)]
            self.rounded[name] = self._add("DequantizeLinear", [self._add("QuantizeLinear", [name, *edges]), *edges])
        return self.rounded[name]

    def _hold(self, values: Array) -> str:
        name = self._name()
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        made = output or self._name()
        self.nodes.append(helper.make_node(operator, inputs, [made], **attributes))
        return made

    def _name(self) -> str:
        self.count += 1
        return f"{PREFIX}.{self.count}"


def has_bias(unit: Unit) -> bool:
    """Whether the unit is a product to which a bias is, or can be, added."""
    return unit.weight is not None and unit.kernel.bias is not None and unit.node.op in ("Conv", "Gemm")
