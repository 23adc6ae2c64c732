"""A model layer by layer: what each holds and costs, and where it came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphopt.analysis.binding import default_binding
from graphopt.analysis.cost import macs
from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.edit import RULE, SOURCES
from graphopt.ir.model import Model
from graphopt.ir.types import Node, Tensor
from graphopt.ir.values import constant
from graphopt.report.changes import name_of

if TYPE_CHECKING:
    from graphopt.budget.record import Budgeted
    from graphopt.measure.profile import OperatorTime

FUSED = 4
"""How many operators the runtime makes one of, at most, where only the last tensor tells which."""


@dataclass(frozen=True)
class Layer:
    """One node that holds parameters, multiplies, or was timed.

    parameters: elements of the constants that it reads, and weight_bytes their bytes; shared ones count where they are
        read first.
    macs: multiply-accumulates of one run, None where a shape is unknown.
    seconds: time of one run, None if it was not measured.
    sensitivity: what the result loses when this layer alone is made lossy, in the unit of the metric; None if it was
        not measured.
    rule: the rule that made it, "" for a node of the original; sources: the original nodes that it stands for.
    """

    name: str
    operator: str
    parameters: int
    weight_bytes: int
    macs: int | None
    seconds: float | None = None
    sensitivity: float | None = None
    rule: str = ""
    sources: tuple[str, ...] = ()


def layers(model: Model, dimensions: Mapping[str, int] | None = None) -> tuple[Layer, ...]:
    """The layers of a model in the order in which they run. Decodes no weights.

    dimensions: sizes of free dimensions, for the multiply-accumulates; the smallest that fit for the others.
    """
    shapes = Shapes(model, default_binding(model, first=1) | dict(dimensions or {}))
    seen: set[Tensor] = set()
    return tuple(_layer(node, shapes, seen) for node in walk.nodes(model.graph) if node.op != "Constant")


def _layer(node: Node, shapes: Shapes, seen: set[Tensor]) -> Layer:
    held = [(tensor, constant(tensor)) for tensor in dict.fromkeys(node.inputs) if tensor not in seen]
    constants = [value for tensor, value in held if value is not None]
    seen.update(tensor for tensor, value in held if value is not None)
    cost = macs(node, shapes)
    return Layer(
        name=name_of(node),
        operator=f"{node.domain}::{node.op}" if node.domain else node.op,
        parameters=sum(value.size for value in constants),
        weight_bytes=sum(value.nbytes for value in constants),
        macs=cost if isinstance(cost, int) else None,
        rule=node.metadata.get(RULE, ""),
        sources=tuple(node.metadata.get(SOURCES, "").split()),
    )


def timed(found: Sequence[Layer], model: Model, operators: Sequence[OperatorTime]) -> tuple[Layer, ...]:
    """The layers of `model` with their seconds, as far as the runtime's profile tells to which they belong."""
    spent: dict[str, float] = defaultdict(float)
    where = _Places(model)
    for one in operators:
        for name, seconds in one.by_node.items():
            spent[where.find(one.operator, name)] += seconds
    return tuple(replace(layer, seconds=spent.get(layer.name)) for layer in found)


class _Places:
    """Which node of a model an executed one is, or was made of.

    ONNX Runtime keeps the names of nodes, but for two of its fusions: a Conv with its activation is called "fused " and
    the Conv, and one in a layout of its own is called like the tensor that it computes, with an ending.
    """

    def __init__(self, model: Model) -> None:
        self.nodes = {name_of(node): node for node in walk.nodes(model.graph)}
        self.makers = {tensor.name: node for node in walk.nodes(model.graph) for tensor in node.outputs}

    def find(self, operator: str, name: str) -> str:
        """The name of the layer; "" for a node that the runtime added for itself."""
        node = self.nodes.get(name.removeprefix("fused ")) or self.makers.get(name.removesuffix("_nchwc"))
        near = [] if node is None else [node]
        for _ in range(FUSED):
            found = next((one for one in near if one.op == operator), None)
            if found is not None:
                return name_of(found)
            near = [tensor.producer for one in near for tensor in one.inputs if tensor.producer is not None]
        return "" if node is None else name_of(node)


def sensitive(found: Sequence[Layer], budget: Budgeted) -> tuple[Layer, ...]:
    """The layers with what each costs of the metric, where a budget had it measured: of a rewrite left out there."""
    drops = (one for one in budget.left_out if one.limit == "max-drop" and one.rule and one.together == 1)
    cost = {one.place.partition(" ")[2]: one.cost.value for one in drops}
    return tuple(
        replace(layer, sensitivity=next((cost[name] for name in (layer.name, *layer.sources) if name in cost), None))
        for layer in found
    )


def worth_telling(found: Sequence[Layer]) -> tuple[Layer, ...]:
    """Those that hold something, may cost something, or took time."""
    return tuple(one for one in found if one.parameters or one.macs != 0 or one.seconds is not None)


def heaviest(found: Sequence[Layer], most: int) -> list[Layer]:
    """The layers with the largest shares of time, of multiply-accumulates or of weights, in the order of the model."""
    costs = [(layer.seconds or 0.0, layer.macs or 0, layer.weight_bytes) for layer in found]
    totals = [sum(column) or 1 for column in zip(*costs, strict=True)]
    share = [max(cost / total for cost, total in zip(row, totals, strict=True)) for row in costs]
    chosen = sorted(range(len(found)), key=lambda index: -share[index])[:most]
    return [found[index] for index in sorted(chosen)]
