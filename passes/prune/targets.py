"""What a network costs with some atoms gone: multiply-adds, weights, bytes or seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from graphopt.analysis.cost import TABLE, macs
from graphopt.analysis.inference import key_of
from graphopt.analysis.shapes import Shapes
from graphopt.ir.types import Array, Tensor
from graphopt.ir.values import constant
from passes.prune.grouping import Grouping
from passes.prune.groups import Group
from passes.prune.planned import Planned

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar
    from passes.prune.trial import Work

Plan = Mapping[Group, Array]
"""The atoms of each group that are to go."""
Cost = Callable[[Plan], float]
"""What a network costs once a plan is carried out, in a unit of its own."""


class Sized:
    """A planned network at given sizes of its free dimensions; has the `dims` that `macs` asks for."""

    def __init__(self, planned: Planned, shapes: Shapes) -> None:
        self.planned, self.shapes = planned, shapes

    def dims(self, tensor: Tensor) -> tuple[Scalar | None, ...] | None:
        """As `Shapes.dims`."""
        dims, cut = self.shapes.dims(tensor), self.planned.dims(tensor)
        if dims is None or cut is None:
            return dims
        return tuple(own if isinstance(own, int) else dim for dim, own in zip(dims, cut, strict=True))


def multiply_adds(grouping: Grouping, shapes: Shapes) -> Cost:
    """Multiply-adds of one run; `shapes` has numbers for free dimensions."""
    nodes = [node for node in grouping.calls if key_of(node.op, node.domain) in TABLE]

    def cost(plan: Plan) -> float:
        sized = Sized(Planned(grouping, plan), shapes)
        counts = (macs(node, cast("Shapes", sized)) for node in nodes)  # it asks for nothing but `dims`
        return float(sum(count for count in counts if isinstance(count, int)))

    return cost


def parameters(grouping: Grouping) -> Cost:
    """Numbers that the constants hold."""
    return lambda plan: float(Planned(grouping, plan).parameters())


def size(grouping: Grouping, file_bytes: int) -> Cost:
    """Bytes of the file: what goes is taken to weigh as much as the mean of the numbers that the constants hold."""
    whole = Planned(grouping, {}).parameters()
    each = sum(held.nbytes for tensor in grouping.constants if (held := constant(tensor)) is not None) / max(1, whole)
    return lambda plan: file_bytes - each * (whole - Planned(grouping, plan).parameters())


def costs(name: str, work: Work) -> Cost:
    """The cost that a target is a share of."""
    if name == "params":
        return parameters(work.grouping)
    if name == "size":
        return size(work.grouping, work.original.size)
    if name == "latency":
        from passes.prune.latency import predicted

        return predicted(work)
    return multiply_adds(work.grouping, work.context.bound[0])
