"""A model layer by layer: what each holds and costs, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphopt.analysis.binding import default_binding
from graphopt.analysis.cost import macs
from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.edit import RULE, SOURCES
from graphopt.ir.model import Model
from graphopt.ir.types import Node, Tensor
from graphopt.ir.values import constant


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
        name=node.name or next((tensor.name for tensor in node.outputs if tensor.name), ""),
        operator=f"{node.domain}::{node.op}" if node.domain else node.op,
        parameters=sum(value.size for value in constants),
        weight_bytes=sum(value.nbytes for value in constants),
        macs=cost if isinstance(cost, int) else None,
        rule=node.metadata.get(RULE, ""),
        sources=tuple(node.metadata.get(SOURCES, "").split()),
    )


def timed(found: Sequence[Layer], seconds: Mapping[str, float]) -> tuple[Layer, ...]:
    """The layers with the seconds of one run by name."""
    return tuple(replace(layer, seconds=seconds.get(layer.name)) for layer in found)


def worth_telling(found: Sequence[Layer]) -> tuple[Layer, ...]:
    """Those that hold something, may cost something, or took time."""
    return tuple(one for one in found if one.parameters or one.macs != 0 or one.seconds is not None)
