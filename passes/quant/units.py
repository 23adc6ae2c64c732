"""Units: the calls that a target can compute in integers, each with the activation function after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.errors import PassError
from graphopt.ir import dtypes, walk
from graphopt.ir.edit import Editor
from graphopt.ir.types import MATRIX, Constant, Node, Tensor, Variable
from graphopt.ir.values import constant, given
from graphopt.pipeline.context import Context
from passes.quant.activations import GRIDDED, possible
from passes.quant.kernels import Integers, Kernel, Role

FLOAT = np.dtype(np.float32)
CLIPS = frozenset({"Relu", "Clip"})
"""What the saturation of the result performs, so that it needs no kernel."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A call that may be computed in integers.

    activation: the function that alone reads the call: a clip, or one of `activations.GRIDDED`. data: the activations
    that it reads. outputs: what it computes. weight, bias: its constant operands, if it has such. axis: of the weight,
    along which scales may differ; None if nowhere.
    """

    node: Node
    kernel: Kernel
    activation: Node | None
    data: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weight: Constant | None
    bias: Constant | None
    axis: int | None

    @property
    def name(self) -> str:
        """The name of the first tensor that it computes, which it keeps however it is computed."""
        return self.outputs[0].name

    @property
    def own_weight(self) -> Constant:
        """The weight of a unit that has one. Raises PassError for any other."""
        if self.weight is None:
            raise PassError(f"{self.node.op} {self.name} has no weight")
        return self.weight

    @property
    def inner(self) -> Tensor | None:
        """What the activation function reads, if that needs a grid of its own."""
        return self.node.outputs[0] if self.activation is not None and self.activation.op in GRIDDED else None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The call, and its activation function."""
        return (self.node,) if self.activation is None else (self.node, self.activation)


class Unsuitable(Exception):
    """Why a call is no unit, in words."""


def find(context: Context, integers: Integers) -> tuple[list[Unit], dict[Node, str]]:
    """The units of the outermost graph, in its order; and of every other call with a kernel why it is none."""
    context.editor.flush()
    units: list[Unit] = []
    reasons: dict[Node, str] = {}
    for node in context.model.graph.nodes:
        kernel = None if node.domain else integers.kernels.get(node.op)
        if kernel is None:
            continue
        try:
            units.append(_unit(node, kernel, context.shapes, context.editor, integers))
        except Unsuitable as reason:
            reasons[node] = str(reason)
    for node in _nested(context):
        if not node.domain and node.op in integers.kernels:
            reasons[node] = "it lies in the body of an If, Loop or Scan"
    return units, reasons


def _nested(context: Context) -> Iterator[Node]:
    graphs = walk.graphs(context.model.graph)
    next(graphs)
    for graph in graphs:
        yield from graph.nodes


def _unit(node: Node, kernel: Kernel, shapes: Shapes, editor: Editor, integers: Integers) -> Unit:
    for condition in (_plain, *CONDITIONS.get(node.op, ())):
        reason = condition(node, shapes)
        if reason:
            raise Unsuitable(reason)
    weight, data = _operands(node, kernel)
    bias = _bias(node, kernel)
    axis = None if weight is None else _axis(node, kernel, weight)
    for tensor in (*data, *node.outputs):
        _check_type(tensor, shapes)
    for held in (weight, bias):
        if held is not None and not np.isfinite(np.asarray(held.values, np.float64)).all():
            raise Unsuitable(f"{held.name} holds NaN or infinity")
    activation = _activation(node, kernel, editor) if integers.requantises else None
    return Unit(node, kernel, activation, data, tuple((activation or node).outputs), weight, bias, axis)


def _plain(node: Node, _shapes: Shapes) -> str | None:
    if any(tensor.name for tensor in node.outputs[1:]) and node.op != "Split":
        return f"{node.op} has {len(node.outputs)} results here"
    return None


def _operands(node: Node, kernel: Kernel) -> tuple[Constant | None, tuple[Tensor, ...]]:
    """The weight, and the activations. A product of two activations has no weight."""
    positions = range(len(node.inputs)) if kernel.data is None else kernel.data
    data = tuple(node.inputs[position] for position in positions)
    weight = None
    if kernel.weight is not None:
        operand = node.inputs[kernel.weight]
        weight = constant(operand)
        if weight is None and node.op != "MatMul":
            raise Unsuitable(f"its weight {operand.name} is no constant")
        if weight is None:
            data = (*data, operand)
    if all(constant(tensor) is not None for tensor in data):
        raise Unsuitable("all that it reads is constant")
    if weight is not None and weight.dtype != FLOAT:
        raise Unsuitable(f"its weight is {dtypes.name(weight.dtype)}, not float")
    return weight, data


def _bias(node: Node, kernel: Kernel) -> Constant | None:
    bias = None if kernel.bias is None else given(node, kernel.bias)
    if bias is None:
        return None
    held = constant(bias)
    if held is None:
        raise Unsuitable(f"its bias {bias.name} is no constant")
    return held


def _axis(node: Node, kernel: Kernel, weight: Constant) -> int | None:
    axis = kernel.axes[bool(node.attrs.get(kernel.turned, 0))] if kernel.turned else kernel.axes[0]
    rank = len(weight.shape)
    if axis < 0:  # the columns of a matrix; a stack of matrices has one scale
        return rank - 1 if rank == MATRIX else None
    return axis


def _check_type(tensor: Tensor, shapes: Shapes) -> None:
    if not tensor.name:
        raise Unsuitable("it leaves out an operand")
    found = shapes.dtype(tensor)
    if found != FLOAT:
        raise Unsuitable(f"{tensor.name} is {'of unknown type' if found is None else dtypes.name(found)}, not float")


def _activation(node: Node, kernel: Kernel, editor: Editor) -> Node | None:
    """The activation function that alone reads the call, if integers can have it."""
    result = node.outputs[0]
    if len(node.outputs) > 1 or len(result.outputs) != 1 or editor.is_output(result):
        return None
    reader = result.outputs[0]
    if editor.home[reader] is not editor.home[node]:
        return None
    if reader.op in CLIPS and not reader.domain:
        return reader if bounds(reader) is not None else None
    return reader if kernel.role is not Role.MOVE and possible(reader) else None


def bounds(node: Node) -> tuple[float, float] | None:
    """Between which numbers, zero among them, a Relu or Clip cuts; None if that is not known, or it is neither."""
    if node.op not in CLIPS:
        return None
    if node.op == "Relu":
        return 0.0, np.inf
    low, high = (_bound(node, place, name) for place, name in ((1, "min"), (2, "max")))
    low, high = (-np.inf if low is None else low), (np.inf if high is None else high)
    return (low, high) if low <= 0 <= high else None


def _bound(node: Node, place: int, name: str) -> float | None:
    """A bound of Clip; None if it has none, and NaN, which no comparison holds for, where it is not known."""
    if name in node.attrs:
        return float(node.attrs[name])
    bound = given(node, place)
    if bound is None:
        return None
    held = constant(bound)
    return float("nan") if held is None or held.size != 1 else float(held.values.reshape(())[()])


# ---- what kernels do not take ----

Condition = Callable[[Node, Shapes], str | None]


def _gemm(node: Node, shapes: Shapes) -> str | None:
    if node.attrs.get("transA", 0):
        return "its left operand is transposed (transA)"
    summand = given(node, 2)
    if node.attrs.get("alpha", 1.0) != 1 or (summand is not None and node.attrs.get("beta", 1.0) != 1):
        return "alpha or beta is not 1: the pass fuse moves them into the weights"
    if summand is not None:
        columns, bias = shapes.static(node.inputs[1]), shapes.static(summand)
        if columns is None or bias != (columns[0 if node.attrs.get("transB", 0) else 1],):
            return "what it adds is no vector with an element for each column"
    return None


def _windows(node: Node, shapes: Shapes) -> str | None:
    rank = shapes.rank(node.inputs[0])
    if rank not in (3, 4, 5):
        return f"its operand has {'an unknown rank' if rank is None else f'rank {rank}'}: the kernel takes 3 to 5"
    return None


def _pool(node: Node, _shapes: Shapes) -> str | None:
    if any(step != 1 for step in node.attrs.get("dilations", ())):
        return "its window is dilated"
    return "it rounds its size up (ceil_mode)" if node.attrs.get("ceil_mode", 0) else None


def _resize(node: Node, _shapes: Shapes) -> str | None:
    mode = node.attrs.get("mode", "nearest")
    return None if mode in ("nearest", b"nearest") else f"it interpolates ({mode}): only nearest moves elements"


def _softmax(node: Node, shapes: Shapes) -> str | None:
    rank = shapes.rank(node.inputs[0])
    axis = node.attrs.get("axis", -1)
    return None if rank is not None and axis in (-1, rank - 1) else "its axis is not the last one"


def _is_variable(node: Node, _shapes: Shapes) -> str | None:
    return None if isinstance(node.inputs[0], Variable) and constant(node.inputs[0]) is None else "it moves a constant"


CONDITIONS: Mapping[str, tuple[Condition, ...]] = {
    "Conv": (_windows,),
    "Gemm": (_gemm,),
    "AveragePool": (_pool, _windows),
    "GlobalAveragePool": (_windows,),
    "MaxPool": (_pool, _windows),
    "Resize": (_resize,),
    "Softmax": (_softmax,),
    **dict.fromkeys(("Gather", "GatherElements", "Expand", "Tile", "Reshape", "Transpose"), (_is_variable,)),
}


def products(units: list[Unit]) -> list[Unit]:
    """Those that multiply with weights."""
    return [unit for unit in units if unit.kernel.role is Role.PRODUCT]
