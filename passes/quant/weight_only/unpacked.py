"""Attention whose projections are inside it, with them outside: there they can have weights in few bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir import walk
from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Graph, Node
from graphopt.ir.values import constant
from graphopt.numerics.contract import Close
from graphopt.rewrite.driver import Refusal
from graphopt.rewrite.tape import Builder
from passes.quant.options import Settings

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

RULE = "unpacked_attention"
MICROSOFT = "com.microsoft"
MASK, PAST, BIAS = 3, 4, 5
"""Positions of operands of Attention."""
SIZES_AS_INPUT = 13
"""The version of ai.onnx in which the sizes that Split makes became an input."""
PADDING = (1, 2)
"""The ranks of a mask that says which keys are padding, the same to both operators."""
KEPT = ("num_heads", "mask_filter_value", "scale", "unidirectional")
UNKNOWN = ("do_rotary", "past_present_share_buffer", "rotary_embedding_dim")


def unpack(context: Context, settings: Settings, which: Callable[[Node], bool] = lambda _: True) -> None:
    """Make each Attention, or `which` ones, a product, a Split and a MultiHeadAttention."""
    for graph in walk.graphs(context.model.graph):
        for node in list(graph.nodes):
            if (node.domain, node.op) != (MICROSOFT, "Attention") or not (settings.wants(node) and which(node)):
                continue
            reason = _obstacle(context, node)
            if reason:
                label = f"{node.op} {node.name or node.outputs[0].name}"
                context.refuse(Refusal(RULE, label, label, 1, reason))
            else:
                context.apply(_apart(context, graph, node), RULE, Close(64))
    context.begin(context.step)


def _obstacle(context: Context, node: Node) -> str | None:
    """Why it has to stay as it is."""
    operands = dict(enumerate(node.inputs))
    given = {position for position, tensor in operands.items() if tensor.name}
    if constant(node.inputs[1]) is None:
        return "its weight is no constant"
    if given - {0, 1, 2, MASK, BIAS} or len([t for t in node.outputs if t.name]) > 1:
        return "it has a cache"
    if MASK in given and context.shapes.rank(operands[MASK]) not in PADDING:
        return "its mask does not say which keys are padding"
    lacking = [name for name in UNKNOWN if node.attrs.get(name)]
    return f"MultiHeadAttention has no attribute {lacking[0]}" if lacking else None


def _apart(context: Context, graph: Graph, node: Node) -> Rewrite:
    new = Builder()
    x, weight, bias = node.inputs[:3]
    held = constant(weight)
    width = 0 if held is None else held.shape[1]
    sizes = node.attrs.get("qkv_hidden_sizes") or [width // 3] * 3
    packed = new.MatMul(x, weight)
    if context.model.graph.opset >= SIZES_AS_INPUT:
        parts = new.node("Split", packed, np.array(sizes, np.int64), axis=-1, outputs=3)
    else:
        parts = new.node("Split", packed, axis=-1, split=list(sizes), outputs=3)
    rest = [tensor if tensor.name else None for tensor in node.inputs[MASK:]] + [None] * 3
    mask, added = rest[0], rest[BIAS - MASK]
    attrs = {name: node.attrs[name] for name in KEPT if name in node.attrs}
    made = new.node("MultiHeadAttention", *parts, bias if bias.name else None, mask, added, domain=MICROSOFT, **attrs)
    return Rewrite(graph, node, (node,), tuple(new.drafts), {node.outputs[0]: made})
