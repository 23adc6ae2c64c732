"""Layers that are to stay float between quantised ones.

ONNX Runtime (its WeightBiasQuantization) rounds the float weights of a Conv, ConvTranspose or Gemm by itself, with one
scale for all, if a DequantizeLinear feeds it and only a QuantizeLinear reads it. So a layer that was left float because
it must not be rounded would be, and worse. A Sum of one operand before the QuantizeLinear is nothing to compute, and
keeps the runtime from it.
"""

from __future__ import annotations

from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Node, Variable
from graphopt.ir.values import constant
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context

RULE = "float_island"
ROUNDED = frozenset({"Conv", "ConvTranspose", "Gemm"})
CUTTING = frozenset({"Relu", "Clip"})


def shield(context: Context) -> None:
    """Keep ONNX Runtime from rounding the weights of layers that are float between integers."""
    context.editor.flush()
    for node in list(context.model.graph.nodes):
        reader = _rounding(context, node) if node.op in ROUNDED and not node.domain else None
        if reader is not None:
            same, integers = Variable(UNNAMED), Variable(UNNAMED)
            drafts = (
                Draft("Sum", [reader.inputs[0]], [same]),
                Draft("QuantizeLinear", [same, *reader.inputs[1:]], [integers], dict(reader.attrs)),
            )
            rewrite = Rewrite(context.editor.graph, reader, (reader,), drafts, {reader.outputs[0]: integers})
            context.apply(rewrite, RULE, Exact())


def _rounding(context: Context, node: Node) -> Node | None:
    """The QuantizeLinear for whose sake the runtime rounds the weights of a float call."""
    source = node.inputs[0].producer
    if source is None or source.op != "DequantizeLinear" or constant(node.inputs[1]) is None:
        return None
    result = node.outputs[0]
    while len(result.outputs) == 1 and not context.editor.is_output(result):
        reader = result.outputs[0]
        if reader.op == "QuantizeLinear":
            return reader
        if reader.op not in CUTTING:
            return None
        result = reader.outputs[0]
    return None
