"""Products of activations with constant matrices, in whatever operator they are spelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir import dtypes, walk
from graphopt.ir.dtypes import DType
from graphopt.ir.types import MATRIX, Array, Constant, Graph, Node, Tensor
from graphopt.ir.values import constant, given
from graphopt.rewrite.driver import Refusal
from graphopt.rewrite.tape import Builder

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes
    from graphopt.pipeline.context import Context

FLOATS = frozenset(np.dtype(t) for t in (np.float32, np.float16))
"""The types in which products with quantised weights have kernels."""


@dataclass(frozen=True, eq=False)
class Linear:
    """alpha x W + beta summand, where W is a constant matrix.

    graph: that of the node. x: the other operand. weight: W, or its transpose if `turned`.
    before: the node, and the Transpose through which it reads the weight. summand: what Gemm adds, or None.
    """

    graph: Graph
    node: Node
    x: Tensor
    weight: Constant
    turned: bool
    before: tuple[Node, ...]
    summand: Tensor | None = None
    alpha: float = 1.0
    beta: float = 1.0

    @property
    def rows(self) -> int:
        """How many products are summed up."""
        return self.weight.shape[1 if self.turned else 0]

    @property
    def columns(self) -> int:
        """How many sums there are."""
        return self.weight.shape[0 if self.turned else 1]

    @property
    def dtype(self) -> DType:
        """In which it computes."""
        return self.weight.dtype

    @property
    def label(self) -> str:
        """The node in words."""
        return f"{self.node.op} {self.node.name or self.node.outputs[0].name}"

    def matrix(self) -> Array:
        """W times alpha, (rows, columns): a view, of a mapped file where the weight is in one and alpha is 1."""
        held = self.weight.values if self.alpha == 1 else self.weight.values * self.dtype.type(self.alpha)
        return held.T if self.turned else held

    @property
    def reads(self) -> frozenset[Constant]:
        """The constants whose values what stands for the product is made of."""
        summand = None if self.summand is None else constant(self.summand)
        return frozenset({self.weight} if summand is None else {self.weight, summand})

    @property
    def key(self) -> tuple[Constant, bool, float]:
        """Equal for products with the same matrix."""
        return self.weight, self.turned, self.alpha

    def scaled_summand(self, new: Builder) -> Tensor | None:
        """The summand times beta, if there is one."""
        return self.summand if self.summand is None or self.beta == 1 else new.Mul(self.summand, self.beta)

    def bias(self) -> Array | None:
        """The summand as one number for each column, with beta; None if it is not a constant such as that."""
        held = None if self.summand is None else constant(self.summand)
        if held is None or held.size not in (1, self.columns) or (held.size > 1 and held.shape[-1] != self.columns):
            return None
        scaled: Array = (held.values.astype(np.float64) * self.beta).reshape(-1)
        return np.broadcast_to(scaled, (self.columns,)).astype(self.dtype)


def linears(context: Context, rule: str) -> list[Linear]:
    """Every product with a constant matrix, in node order; `rule` refuses the others, with reasons."""
    found: list[Linear] = []
    for graph in walk.graphs(context.model.graph):
        for node in graph.nodes:
            reading = _READERS.get((node.domain, node.op))
            if reading is None:
                continue
            made = reading(graph, node, context.shapes) if node.inputs[0].name else "it has no operand"
            if isinstance(made, Linear) and (context.shapes.rank(made.x) or 0) < MATRIX:
                made = "its first operand is not known to be a matrix, or several"
            if isinstance(made, Linear):
                found.append(made)
            elif made:
                label = f"{node.op} {node.name or node.outputs[0].name}"
                context.refuse(Refusal(rule, label, label, 1, made))
    return found


def _product(graph: Graph, node: Node, shapes: Shapes) -> Linear | str:
    """MatMul, or FusedMatMul with a factor and transposed operands."""
    attrs = node.attrs
    if attrs.get("transA") or attrs.get("transBatchA") or attrs.get("transBatchB"):
        return "its first operand is transposed"
    held = _weight(node.inputs[1], shapes)
    if isinstance(held, str):
        return held
    weight, turned, through = held
    turned ^= bool(attrs.get("transB", 0))
    return Linear(graph, node, node.inputs[0], weight, turned, (node, *through), alpha=attrs.get("alpha", 1.0))


def _gemm(graph: Graph, node: Node, shapes: Shapes) -> Linear | str:
    if node.attrs.get("transA", 0):
        return "its first operand is transposed"
    held = _weight(node.inputs[1], shapes)
    if isinstance(held, str):
        return held
    weight, turned, through = held
    turned ^= bool(node.attrs.get("transB", 0))
    alpha, beta = (node.attrs.get(name, 1.0) for name in ("alpha", "beta"))
    return Linear(graph, node, node.inputs[0], weight, turned, (node, *through), given(node, 2), alpha, beta)


_READERS = {("", "MatMul"): _product, ("com.microsoft", "FusedMatMul"): _product, ("", "Gemm"): _gemm}


def _weight(tensor: Tensor, shapes: Shapes) -> tuple[Constant, bool, tuple[Node, ...]] | str:
    """The matrix behind an operand, whether that is its transpose, and the nodes between; or why there is none.

    The reason is empty where nobody would expect one: products of two activations.
    """
    through: list[Node] = []
    turned = False
    while (node := tensor.producer) is not None and (node.op, node.domain) == ("Transpose", ""):
        if list(node.attrs.get("perm", [1, 0])) != [1, 0]:
            break
        through.append(node)
        turned, tensor = not turned, node.inputs[0]
    held = constant(tensor)
    if held is None:
        return "its weight is an input of the model" if _is_fed(tensor, shapes) else ""
    if len(held.shape) != MATRIX:
        return f"its weight has {len(held.shape)} dimensions, not {MATRIX}"
    if held.dtype not in FLOATS:
        return f"its weight is of {dtypes.name(held.dtype)}: there are kernels for float and float16"
    if not held.size:
        return "its weight is empty"
    return held, turned, tuple(through)


def _is_fed(tensor: Tensor, shapes: Shapes) -> bool:
    return tensor.producer is None and tensor in shapes.model.graph.defaults


def tiles(matrix: Array, block: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Parts of a matrix of about `size` elements that lie close together in memory, of whole blocks of rows."""
    rows, columns = matrix.shape
    if matrix.flags.c_contiguous:
        step = max(size // columns // block, 1) * block
        width = max(size // step, 1)
    else:
        step, width = rows, max(size // rows, 1)
    for top in range(0, rows, step):
        for left in range(0, columns, width):
            yield slice(top, min(top + step, rows)), slice(left, min(left + width, columns))
