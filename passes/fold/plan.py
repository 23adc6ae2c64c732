"""Which nodes can be evaluated: everything they need is constant, and their results are wanted and small enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphopt.analysis.shapes import Shapes
from graphopt.ir import values, walk
from graphopt.ir.dtypes import HALVES
from graphopt.ir.types import AttributeRef, Constant, Node, Tensor, subgraphs
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.pipeline.context import Context
from passes.fold.constants import refuse
from passes.fold.growth import cap, is_result
from passes.fold.sizes import ceiling

RULE = "constant"
DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft"})
"""The domains whose operators are functions of their inputs, as far as `nondeterministic` does not say otherwise."""
MOVES = frozenset({
    "Concat", "ConstantOfShape", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad",
    "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
"""Operators that compute nothing."""
MOST_BYTES = 1 << 28
"""Nodes with larger results are not evaluated, unless the result is no larger than the inputs."""


@dataclass
class Plan:
    """What will be evaluated.

    nodes: in topological order. results: for those that are to be replaced, the outputs that others use.
    sizes: bytes that every output of the nodes has at most. rounded: outputs that depend on 16-bit arithmetic.
    """

    nodes: dict[Node, None] = field(default_factory=dict)
    results: dict[Node, list[Tensor]] = field(default_factory=dict)
    sizes: dict[Tensor, int] = field(default_factory=dict)
    rounded: set[Tensor] = field(default_factory=set)


def plan(context: Context, unrunnable: Mapping[Node, str]) -> Plan:
    """What can be evaluated in the model as it stands; refusals are noted.

    unrunnable: nodes that the runtime failed on, with its reason.
    """
    made = Plan()
    context.editor.flush()
    for node in walk.nodes(context.editor.graph):
        if not is_constant(node, made.nodes):
            continue
        sizes = ceiling(node, context.shapes, made.sizes)
        reason = unrunnable.get(node) or obstacle(node) or _too_large(node, sizes, made.sizes)
        if reason:
            refuse(context, RULE, node, reason)
        else:
            made.nodes[node] = None
            made.sizes.update(sizes or {})
            if _rounds(node, context.shapes) or any(tensor in made.rounded for tensor in node.inputs):
                made.rounded.update(node.outputs)
    replaced = dict(made.nodes)
    for excess in cap(context.editor, replaced, made.sizes):
        refuse(context, RULE, excess.node, str(excess))
    _keep_wanted(context, made, replaced)
    return made


def is_constant(node: Node, evaluated: Mapping[Node, None]) -> bool:
    """Whether all inputs of a node are constants or results of `evaluated` (a Constant node is one itself)."""
    if node.op == "Constant" and not node.domain:
        return False
    for tensor in node.inputs:
        if isinstance(tensor, Constant) or not tensor.name:
            continue
        producer = tensor.producer
        if producer is None or (producer not in evaluated and values.constant(tensor) is None):
            return False
    return True


def obstacle(node: Node) -> str:
    """Why a node must not be evaluated although its inputs are constant; empty if nothing speaks against it."""
    if node.domain not in DOMAINS:
        return f"what {node.domain}.{node.op} does is not known"
    if nondeterministic(node):
        return "it draws random numbers"
    if next(subgraphs(node), None) is not None:
        return "it runs graphs of its own"
    if any(isinstance(value, AttributeRef) for value in node.attrs.values()):
        return "an attribute depends on the caller"
    if node.op == "DequantizeLinear":
        return "the runtime fuses it with what reads it"
    return ""


def _rounds(node: Node, shapes: Shapes) -> bool:
    """Whether the node computes in 16 bits.

    The runtime has few such kernels: it computes in 32 bits and need not round between nodes. A result that is written
    down as a constant has been rounded once more.
    """
    return node.op not in MOVES and any(shapes.dtype(tensor) in HALVES for tensor in node.outputs if tensor.name)


def _too_large(node: Node, sizes: Mapping[Tensor, int] | None, known: Mapping[Tensor, int]) -> str:
    if sizes is None:
        return "the size of its result is not known before it is evaluated"
    total = sum(sizes.values())
    given = sum(t.nbytes if isinstance(t, Constant) else known.get(t, 0) for t in node.inputs)
    return f"its result would have {total:,} bytes" if total > max(MOST_BYTES, given) else ""


def _keep_wanted(context: Context, made: Plan, replaced: Mapping[Node, None]) -> None:
    """Note the results of the nodes that are to be replaced, and leave out nodes that do not lead to any."""
    editor = context.editor
    wanted: dict[Node, None] = {}
    for node in reversed(list(made.nodes)):
        results = [t for t in node.outputs if t.name and node in replaced and is_result(editor, t, replaced)]
        if results or any(reader in wanted for tensor in node.outputs for reader in tensor.outputs):
            wanted[node] = None
        if results:
            made.results[node] = results
    made.nodes = dict.fromkeys(reversed(wanted))
    made.results = {node: made.results[node] for node in made.nodes if node in made.results}
