"""Operators that compute in integers, spelled as float operators between conversions: one format as the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Constant, Graph, Node, Tensor, Variable
from graphopt.ir.values import constant, given
from graphopt.numerics.contract import Judged
from graphopt.pipeline.context import Context

RULE = "taken_apart"


@dataclass(frozen=True)
class Form:
    """Where an operator has what. op: in floats. operands: the positions of integers, each before its scale and zero.

    result: the position of the result's scale, before its zero. bias: of integers on the grid of the sums. axis: of
    the second operand, along which scales may differ. dropped: attributes that only the integer operator has.
    """

    op: str
    operands: tuple[int, ...] = (0,)
    result: int = 3
    bias: int | None = None
    axis: int = -1
    dropped: tuple[str, ...] = ()


BOTH = (0, 3)
FORMS = {
    "QLinearConv": Form("Conv", BOTH, 6, 8, axis=0),
    "QLinearMatMul": Form("MatMul", BOTH, 6),
    "QGemm": Form("Gemm", BOTH, 7, 6),
    "QLinearAdd": Form("Add", BOTH, 6),
    "QLinearMul": Form("Mul", BOTH, 6),
    "QLinearAveragePool": Form("AveragePool", dropped=("channels_last",)),
    "QLinearGlobalAveragePool": Form("GlobalAveragePool", dropped=("channels_last",)),
    "QLinearLeakyRelu": Form("LeakyRelu"),
    "QLinearSigmoid": Form("Sigmoid"),
    "QLinearSoftmax": Form("Softmax", dropped=("opset",)),
}


def take_apart(context: Context, graph: Graph, node: Node) -> None:
    """Write a node, if it is one of `FORMS`, as a float operator between conversions."""
    form = _concat(node) if node.op == "QLinearConcat" else FORMS.get(node.op)
    if form is None or node.attrs.get("channels_last", 0) or len(node.inputs) <= form.result:
        return
    drafts: list[Draft] = []
    operands = [_floats(node.inputs[place : place + 3], place, node, form, drafts) for place in form.operands]
    if form.bias is not None and given(node, form.bias) is not None:
        bias = _bias(node, form.bias)
        if bias is None:
            return
        operands.append(bias)
    result, integers = Variable(UNNAMED), Variable(UNNAMED)
    attrs = {name: value for name, value in node.attrs.items() if name not in form.dropped}
    parameters = node.inputs[form.result : form.result + 2]
    drafts.append(Draft(form.op, operands, [result], attrs, name=node.name))
    drafts.append(Draft("QuantizeLinear", [result, *parameters], [integers]))
    reads = frozenset(tensor for tensor in node.inputs if isinstance(tensor, Constant))
    rewrite = Rewrite(graph, node, (node,), tuple(drafts), {node.outputs[0]: integers}, reads)
    context.apply(rewrite, RULE, Judged())


def _concat(node: Node) -> Form:
    return Form("Concat", tuple(range(2, len(node.inputs), 3)), 0)


def _floats(given: Sequence[Tensor], place: int, node: Node, form: Form, drafts: list[Draft]) -> Tensor:
    """An operand, of which `given` are the integers, the scale and the zero, in floats."""
    made = Variable(UNNAMED)
    axis = form.axis
    if node.op == "QGemm":
        axis = 0 if node.attrs.get("transB", 0) else 1
    several = _count(given[1]) > 1 and place > 0
    drafts.append(Draft("DequantizeLinear", list(given), [made], {"axis": axis} if several else {}))
    return made


def _count(tensor: Tensor) -> int:
    held = constant(tensor)
    return 1 if held is None else held.size


def _bias(node: Node, place: int) -> Constant | None:
    """The bias in floats: its integers are those of the sums."""
    held = [constant(node.inputs[one]) for one in (place, 1, 4)]
    integers, *scales = [None if one is None else np.asarray(one.values, np.float64) for one in held]
    if integers is None or scales[0] is None or scales[1] is None:
        return None
    return Constant(UNNAMED, (integers * scales[0].reshape(-1) * scales[1].reshape(-1)).astype(np.float32))
