"""Where the border between integers and floats runs: a minimum cut.

Products compute in integers, operators without a kernel in floats. Each call between them may do either; what it costs
is its own time, and a conversion for each tensor that crosses the border. The cheapest assignment is a minimum cut of
the graph with the calls as nodes: on the side of the source they compute in integers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from graphopt.analysis.shapes import Shapes
from graphopt.ir.edit import Editor
from graphopt.ir.types import Constant, Node, Tensor
from graphopt.ir.values import constant
from graphopt.pipeline.context import Context
from passes.quant.kernels import VIEWS, Role
from passes.quant.units import Unit

QUANTISE, DEQUANTISE = 0.25, 0.15
"""Nanoseconds for each element of a conversion."""
INTEGER, FLOAT = "integer", "float"
"""The source and the sink."""
UNKNOWN_SIZE = 1024


def choose(context: Context, units: Iterable[Unit], excluded: Collection[str] = ()) -> list[Unit]:
    """Those of the units that are to compute in integers; `excluded` names some that must not."""
    allowed = [unit for unit in units if unit.name not in excluded]
    cut = _Cut(context.editor, context.bound[0], allowed)
    return [unit for unit in allowed if cut.integer(unit)]


class _Cut:
    """The minimum cut, part by part: calls that do not touch do not concern each other."""

    def __init__(self, editor: Editor, shapes: Shapes, units: list[Unit]) -> None:
        import networkx as nx

        self.editor, self.shapes = editor, shapes
        self.of_node = {node: unit for unit in units for node in unit.nodes}
        self.graph: Any = nx.DiGraph()
        self.graph.add_nodes_from((INTEGER, FLOAT))
        for tensor in dict.fromkeys(tensor for unit in units for tensor in (*unit.data, *unit.outputs)):
            self._tensor(tensor)
        for unit in units:
            if unit.kernel.role is not Role.PRODUCT:
                self._work(unit)
        self.side = self._solve(nx)

    def integer(self, unit: Unit) -> bool:
        """Whether the unit is to compute in integers."""
        return unit.kernel.role is Role.PRODUCT or unit in self.side

    def _place(self, node: Node | None) -> Unit | str:
        """The node of the cut that stands for a call."""
        unit = None if node is None else self.of_node.get(node)
        if unit is None:
            return FLOAT
        return INTEGER if unit.kernel.role is Role.PRODUCT else unit

    def _tensor(self, tensor: Tensor) -> None:
        """What a tensor costs: it is quantised once if floats become integers, and the other way round."""
        if constant(tensor) is not None:
            return
        size = self._size(tensor)
        source = self._place(tensor.producer)
        readers = dict.fromkeys(self._place(reader) for reader in tensor.outputs)
        if self.editor.is_output(tensor):
            readers[FLOAT] = None
        readers.pop(source, None)
        if not readers:
            return
        down, up = ("quantise", tensor), ("dequantise", tensor)
        self._edge(down, source, QUANTISE * size)
        self._edge(source, up, DEQUANTISE * size)
        for reader in readers:
            self.graph.add_edge(reader, down)
            self.graph.add_edge(up, reader)

    def _work(self, unit: Unit) -> None:
        size = sum(self._size(tensor) for tensor in unit.outputs)
        free = unit.node.op in VIEWS
        self._edge(unit, FLOAT, 0.0 if free else unit.kernel.integer * size)
        self._edge(INTEGER, unit, 0.0 if free else unit.kernel.floating * size)

    def _edge(self, tail: Any, head: Any, capacity: float) -> None:
        if self.graph.has_edge(tail, head) and "capacity" in self.graph[tail][head]:
            capacity += self.graph[tail][head]["capacity"]
        self.graph.add_edge(tail, head, capacity=capacity)

    def _size(self, tensor: Tensor) -> int:
        if isinstance(tensor, Constant):
            return 0
        shape = self.shapes.static(tensor)
        size = 1
        for dim in shape or ():
            size *= dim
        return UNKNOWN_SIZE if shape is None else size

    def _solve(self, nx: Any) -> set[Any]:
        """The nodes on the side of the integers."""
        inner = self.graph.subgraph([node for node in self.graph if node not in (INTEGER, FLOAT)])
        side: set[Any] = set()
        for part in nx.weakly_connected_components(inner):
            if any(isinstance(node, Unit) for node in part):
                small = self.graph.subgraph([*part, INTEGER, FLOAT])
                side |= nx.minimum_cut(small, INTEGER, FLOAT)[1][0]
        return side
