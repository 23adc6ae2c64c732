"""Values that are computed twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from onnx import AttributeProto

from graphopt.ir.edit import Rewrite
from graphopt.ir.storage import encode
from graphopt.ir.types import AttributeRef, Constant, EmptyList, Graph, Node, Tensor, subgraphs
from graphopt.numerics.contract import Exact
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.pipeline.context import Context
from graphopt.rewrite.pattern import COMMUTATIVE

PURE = ("", "ai.onnx.ml", "com.microsoft")
"""Domains whose operators give the same outputs for the same inputs, but for those known to be random."""

MOST_SOURCES = 64
"""Nodes with which two symbolic integers are checked to be equal."""


def common_subexpressions(context: Context) -> None:
    """Of nodes with equal calls, or of equal symbolic integers, the first is enough; for nested graphs too."""
    _sweep(context, context.editor.graph, {})


def _sweep(context: Context, graph: Graph, seen: dict[Hashable, Node]) -> None:
    """Go through a graph in order, and into nested ones with what was computed before them."""
    met: list[Hashable] = []
    for node in list(graph.nodes):
        for inner in subgraphs(node):
            _sweep(context, inner, seen)
        for key in _keys(context, node):
            first = seen.setdefault(key, node)
            if first is node:
                met.append(key)
            elif context.editor.alive(first) and _merge(context, first, node):
                break
    for key in met:
        del seen[key]


def _merge(context: Context, first: Node, second: Node) -> bool:
    """Let the outputs of `first` stand for those of `second`. Returns whether that was done."""
    editor = context.editor
    replace = {old: new for new, old in zip(first.outputs, second.outputs, strict=True) if old.name}
    if not all(editor.can_stand_for(new, old) for old, new in replace.items()):
        return False
    same_call = list(first.inputs) == list(second.inputs)
    before = (second, first) if same_call else _sources(context, second, first)
    rewrite = Rewrite(editor.home[second], second, before, (), replace)
    return context.apply(rewrite, "common_subexpressions", Exact()) is not None


def _sources(context: Context, *nodes: Node) -> tuple[Node, ...]:
    """The nodes, and those in the same graph from which their integers follow, back to the shapes."""
    home = context.editor.home
    found, stack = dict.fromkeys(nodes), list(nodes)
    while stack and len(found) < MOST_SOURCES:
        node = stack.pop()
        if node.op not in ("Shape", "Size"):
            producers = [tensor.producer for tensor in node.inputs]
            new = [p for p in producers if p is not None and p not in found and home.get(p) is home[nodes[0]]]
            found.update(dict.fromkeys(new))
            stack += new
    return tuple(found)


def _keys(context: Context, node: Node) -> Iterator[Hashable]:
    """What nodes have in common that compute the same: their call; their value, if it is symbolic integers."""
    if node.domain not in PURE or (node.attrs and any(True for _ in subgraphs(node))) or nondeterministic(node):
        return
    if len(node.outputs) == 1:
        value = context.shapes.integers(node.outputs[0])
        if value is not None and None not in value.elements and not value.numbers:
            yield context.shapes.dtype(node.outputs[0]), value
    attributes = _attributes(node)
    if attributes is not None:
        inputs: list[Tensor | None] = [tensor if tensor.name else None for tensor in node.inputs]
        if len(inputs) > 1 and node.op in COMMUTATIVE and not node.domain:
            inputs.sort(key=id)
        outputs = tuple([bool(tensor.name) for tensor in node.outputs])
        yield node.op, node.domain, node.overload, tuple(inputs), outputs, attributes


def _attributes(node: Node) -> Hashable:
    """The attributes by name and content; None where one cannot be compared."""
    if not node.attrs:
        return ()
    found = []
    for name, value in sorted(node.attrs.items()):
        if isinstance(value, AttributeRef | Graph):
            return None
        found.append((name, _content(value)))
    return tuple(found)


def _content(value: object) -> Hashable:
    if isinstance(value, Constant):
        values = value.values
        content = repr(values.tolist()) if values.dtype.kind == "O" else encode(values).tobytes()
        return values.dtype, values.shape, content
    if isinstance(value, AttributeProto):
        content = value.SerializeToString(deterministic=True)
        return bytes(content)
    if isinstance(value, EmptyList):
        return "empty", value.type
    if isinstance(value, list):
        return tuple(map(_content, value))
    return type(value).__name__, repr(value)
