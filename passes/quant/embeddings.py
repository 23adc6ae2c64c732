"""Tables of embeddings in 8 bits: rows are expanded when they are looked up."""

from __future__ import annotations

import numpy as np

from graphopt.ir import walk
from graphopt.ir.edit import UNNAMED, Rewrite
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import MATRIX, Array, Constant, Graph, Node, Stored, Tensor, Variable
from graphopt.ir.values import constant
from graphopt.numerics.contract import Lossy
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Verdict
from graphopt.rewrite.driver import Refusal
from graphopt.rewrite.tape import Builder
from passes.quant.columns import FED, compared
from passes.quant.options import Settings
from passes.quant.weight_only.blocked import Format, nearest

RULE = "embedding"
MICROSOFT = "com.microsoft"
LEAST = 1 << 14
"""Tables of fewer elements are left alone: they take no room."""
FLOAT, INT64 = np.dtype(np.float32), np.dtype(np.int64)
LARGEST_BLOCK, LEAST_BLOCK = 128, 16
FLOOR = 30.0
ROWS = 256
"""Rows of a table that are looked up to check it."""
Table = tuple[Array, ...]
"""Integers (rows, elements), scales and, for each block, zeros: what stands for a table."""


def embeddings(context: Context, settings: Settings) -> None:
    """Each table that a Gather looks rows up in, and nothing but Gathers and what is quantised already."""
    writer = Writer(context, settings)
    for graph in walk.graphs(context.model.graph):
        for node in list(graph.nodes):
            if (node.op, node.domain) == ("Gather", "") and settings.wants(node):
                writer.one(graph, node)


class Writer:
    """Makes the rewrites. What stands for a table is made once."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self.context, self.scratch = context, Scratch()
        self.numerics = Lossy("sqnr", FLOOR if settings.floor is None else settings.floor)
        self.blocks = context.target.runs("GatherBlockQuantized", MICROSOFT)
        self.stored: dict[Constant, tuple[tuple[Constant, ...], Verdict | None]] = {}

    def one(self, graph: Graph, node: Node) -> None:
        """A Gather; it says why where it is left alone."""
        held = constant(node.inputs[0])
        if held is None or held.size < LEAST or held.dtype != FLOAT or len(held.shape) != MATRIX:
            return
        reason = "" if node.attrs.get("axis", 0) in (0, -MATRIX) else "it does not look up rows"
        reason = reason or ("" if np.isfinite(held.values).all() else "its table is not all finite")
        if reason:
            label = f"{node.op} {node.name or node.outputs[0].name}"
            self.context.refuse(Refusal(RULE, label, label, 1, reason))
            return
        if held not in self.stored:
            self.stored[held] = self.store(held)
        constants, evidence = self.stored[held]
        new = Builder(lambda: FLOAT)
        result = self.look_up(new, constants, node.inputs[1])
        rewrite = Rewrite(graph, node, (node,), tuple(new.drafts), {node.outputs[0]: result}, frozenset({held}))
        self.context.apply(rewrite, RULE, self.numerics, evidence)

    def store(self, held: Constant) -> tuple[tuple[Constant, ...], Verdict | None]:
        """What stands for a table, and the verdict on some of its rows."""
        table = self.table(held.values)
        evidence = self.verdict(held.values, table) if self.context.checks else None
        constants = tuple(Constant(UNNAMED, self.scratch.put(array)) for array in table)
        if isinstance(held.stored, Stored):
            held.stored.release()
        return constants, evidence

    def table(self, values: Array) -> Table:
        """Integers, scales and zeros: for blocks of a row where there is a kernel for that, else for a whole row."""
        block = _block(values.shape[1])
        if self.blocks and block >= LEAST_BLOCK:
            made, _ = nearest(values.T, Format(8, block))
            return made.codes.reshape(values.shape), made.scales, made.zeros
        scales = np.maximum(np.abs(values).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
        return np.rint(values / scales).astype(np.int8), scales.astype(np.float32)

    def look_up(self, new: Builder, stored: tuple[Constant, ...], rows: Tensor) -> Tensor:
        """Rows as floats."""
        if len(stored) == MATRIX:
            integers = new.Cast(new.Gather(stored[0], rows, axis=0), to=1)
            return new.Mul(integers, new.Gather(stored[1], rows, axis=0))
        codes, scales, zeros = stored
        found: Tensor = new.node(
            "GatherBlockQuantized", codes, rows, scales, zeros, domain=MICROSOFT, bits=8,
            block_size=codes.shape[1] // scales.shape[1], gather_axis=0, quantize_axis=1,
        )  # fmt: skip
        return found

    def verdict(self, values: Array, table: Table) -> Verdict:
        """The verdict on rows at equal distances, all of which are looked up."""
        some = slice(None, None, -(-len(values) // ROWS))
        before = Constant(UNNAMED, values[some])
        after = tuple(Constant(UNNAMED, array[some]) for array in table)
        rows = Variable("rows", INT64)
        return compared(
            self.context,
            rows,
            lambda new, fed: new.Gather(before, fed, axis=0),
            lambda new, fed: self.look_up(new, after, fed),
            FLOAT,
            [{FED: np.arange(before.shape[0])}],
            self.numerics,
        )


def _block(elements: int) -> int:
    """The largest power of two that rows of so many elements can be divided into, up to `LARGEST_BLOCK`."""
    return min(elements & -elements, LARGEST_BLOCK)
