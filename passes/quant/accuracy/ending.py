"""Where a network ends, nothing reads integers any more: what it returns need not be rounded.

A Softmax that is returned is computed in floats, for rounded shares tie; and the last matrix product gives floats,
which its kernel can without a conversion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphopt.ir.types import Graph
from passes.quant.options import Format, Settings
from passes.quant.plan import Manner, Plan, gives_floats
from passes.quant.units import Unit

SHARES = frozenset({"Softmax", "LogSoftmax"})


def unrounded(graph: Graph, units: Sequence[Unit], plan: Plan, settings: Settings, manner: Manner) -> Plan:
    """The plan without the last roundings."""
    if settings.format is not Format.QDQ or not manner.integers.requantises:
        return plan
    returned = set(graph.outputs)
    ends = [unit for unit in units if unit.node.op in SHARES and unit.name in plan.units]
    last = {unit.name: "shares that are returned tie when they are rounded" for unit in ends
            if not any(tensor.outputs for tensor in unit.outputs) and set(unit.outputs) <= returned}  # fmt: skip
    plan = plan.without(last)
    read = {tensor.name for unit in units if unit.name in plan.units for tensor in unit.data}
    chosen = [unit for unit in units if unit.name in set(plan.units)]
    open_ended = {unit.name for unit in chosen if gives_floats(unit) and unit.name not in read}
    return replace(plan, grids={name: grid for name, grid in plan.grids.items() if name not in open_ended})
