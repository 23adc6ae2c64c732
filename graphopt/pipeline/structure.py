"""Checks that need no numbers: is the graph still a graph, and does the model still look the same from outside?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from graphopt.ir.edit import Draft, implied_imports
from graphopt.ir.model import Model
from graphopt.ir.types import Constant, Graph, Node, Tensor, subgraphs
from graphopt.target.target import UNOFFICIAL


class Interface(NamedTuple):
    """What callers of a model rely on: inputs, outputs (name, dtype, shape), defaults of inputs, metadata."""

    inputs: tuple[tuple[Any, ...], ...]
    outputs: tuple[tuple[Any, ...], ...]
    defaults: frozenset[str]
    metadata: tuple[tuple[str, str], ...]


def interface(model: Model) -> Interface:
    """The interface of a model as it stands."""
    graph = model.graph
    return Interface(
        tuple(_signature(tensor) for tensor in graph.inputs),
        tuple(_signature(tensor) for tensor in graph.outputs),
        frozenset(tensor.name for tensor in graph.defaults),
        tuple(model.metadata.items()),
    )


def _signature(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.name, tensor.dtype, tensor.shape, getattr(tensor, "type", "tensor_type")


def difference(before: Interface, after: Interface) -> str | None:
    """The first way in which two interfaces differ, in words; None if they do not."""
    for kind, old, new in (("input", before.inputs, after.inputs), ("output", before.outputs, after.outputs)):
        if len(old) != len(new):
            return f"the model had {len(old)} {kind}s and now has {len(new)}"
        for was, now in zip(old, new, strict=True):
            if was != now:
                return f"{kind} {_spell(was)} became {_spell(now)}"
    if before.defaults != after.defaults:
        return f"overridable initializers changed: {sorted(before.defaults ^ after.defaults)}"
    if before.metadata != after.metadata:
        return "the model's metadata changed"
    return None


def _spell(signature: tuple[Any, ...]) -> str:
    name, dtype, shape, _ = signature
    return f"{name!r} ({dtype}{list(shape) if shape is not None else ''})"


def fault(graph: Graph) -> str | None:
    """The first structural fault of a graph or a nested one, in words; None if there is none.

    Every tensor that is read must be a constant, an input, of an outer graph, or computed by an earlier node; every
    tensor has one producer; names mean one thing wherever they can be seen.
    """
    return next(_faults(graph, set(), {}, set()), None)


def _faults(graph: Graph, visible: set[Tensor], names: dict[str, Tensor], seen: set[Node]) -> Iterator[str]:
    for tensor in graph.inputs:
        yield from _defined(tensor, visible, names, "an input")
    for node in graph.nodes:
        if node in seen:
            yield f"node {node!r} stands in the model twice"
        seen.add(node)
        for tensor in node.inputs:
            if tensor.name and tensor not in visible and not isinstance(tensor, Constant):
                yield f"node {node!r} reads {tensor.name!r}, which nothing before it computes"
        for inner in subgraphs(node):
            yield from _faults(inner, set(visible), dict(names), seen)
        for tensor in node.outputs:
            if tensor.name:
                yield from _defined(tensor, visible, names, f"an output of {node!r}")
    for tensor in graph.outputs:
        if tensor not in visible and not isinstance(tensor, Constant):
            yield f"the output {tensor.name!r} is not computed by anything"


def _defined(tensor: Tensor, visible: set[Tensor], names: dict[str, Tensor], role: str) -> Iterator[str]:
    if tensor in visible or names.setdefault(tensor.name, tensor) is not tensor:
        yield f"{tensor.name!r}, {role}, already exists"
    visible.add(tensor)


@lru_cache(maxsize=4096)
def _schema(op: str, domain: str, version: int) -> Any:
    from onnx import defs

    try:
        return defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None


def schema_fault(drafts: Iterable[Draft], opsets: dict[str, int], functions: Iterable[Any] = ()) -> str | None:
    """What makes a new node invalid in a model with these opsets, in words; None if nothing does.

    Domains that the installed onnx does not know are not judged, but must be imported by the model.
    """
    drafts = list(drafts)
    opsets = opsets | implied_imports(drafts, opsets)
    known = {(function.domain, function.name) for function in functions} | {("", name) for name in UNOFFICIAL}
    for draft in drafts:
        if (draft.domain, draft.op) in known:
            continue
        if draft.domain not in opsets:
            return f"{draft.domain or 'ai.onnx'}.{draft.op} is used, but the model does not import its domain"
        schema = _schema(draft.op, draft.domain, opsets[draft.domain])
        if schema is None:
            if draft.domain in ("", "ai.onnx.ml"):
                return f"opset {opsets[draft.domain]} has no operator {draft.op}"
            continue
        if schema.deprecated:
            return f"{draft.op} is deprecated at opset {opsets[draft.domain]}"
        if not schema.min_input <= len(draft.inputs) <= schema.max_input:
            wanted = f"{schema.min_input} to {schema.max_input}"
            return f"{draft.op} has {len(draft.inputs)} inputs, opset {opsets[draft.domain]} wants {wanted}"
        unknown = draft.attrs.keys() - schema.attributes.keys()
        if unknown:
            return f"{draft.op} has no attribute {min(unknown)} at opset {opsets[draft.domain]}"
    return None
