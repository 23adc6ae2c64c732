"""Whether the nodes of a model are calls that the standard knows: what no runtime would load is refused at once."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import AttributeProto, defs

from graphopt.errors import ModelError
from graphopt.ir import calls, walk
from graphopt.ir.model import Model
from graphopt.ir.types import AttributeRef, Constant, EmptyList, Graph, Node
from graphopt.ir.words import counted, quoted

JUDGED = {"": "ai.onnx", "ai.onnx.ml": "ai.onnx.ml"}
"""The domains whose every operator the installed onnx knows."""
BEYOND = frozenset({
    "Affine", "Crop", "DynamicSlice", "GivenTensorFill", "ImageScaler", "LayerNormalization", "ParametricSoftplus",
    "Scale", "ScaledTanh", "SimplifiedLayerNormalization",
})  # fmt: skip
"""Operators that ONNX Runtime has, or has had, in ai.onnx at versions at which the standard has them not."""

_KINDS: tuple[tuple[Any, str], ...] = (
    (int | np.integer | np.bool_, "INT"),
    (float | np.floating, "FLOAT"),
    (str | bytes, "STRING"),
    (Constant, "TENSOR"),
    (Graph, "GRAPH"),
)


class Call(NamedTuple):
    """What the schema of an operator speaks of. given: of every input whether there is one; made: of every output.

    kinds: attributes, with their types as onnx calls them, "" where it does not show.
    """

    op: str
    domain: str
    given: tuple[bool, ...]
    made: tuple[bool, ...]
    kinds: tuple[tuple[str, str], ...]


def checked(model: Model) -> Model:
    """The model itself. Raises ModelError for a node that its operator sets do not allow, in its functions too.

    It may be an operator that they lack or have given up, or one with another number of inputs or outputs, or with
    other attributes. Calls of the model's functions, and operators of other domains, are not judged.
    """
    functions = {calls.key(function)[:2] for function in model.functions}
    _check(model, ((node, _call(node)) for node in walk.nodes(model.graph)), model.opsets, functions)
    for function in model.functions:
        opsets = {one.domain: one.version for one in function.opset_import}
        _check(model, ((function, _call_of(node)) for node in _nodes(function.node)), opsets, functions)
    return model


def _check(
    model: Model,
    found: Iterable[tuple[Node | onnx.FunctionProto, Call]],
    given: Mapping[str, int],
    functions: Collection[Hashable],
) -> None:
    """Raises ModelError for a call that the operator sets do not allow."""
    opsets = {**dict.fromkeys(JUDGED, 0), **given}
    good: set[Call] = set()
    for owner, call in found:
        if call.domain in JUDGED and call not in good and (call.domain, call.op) not in functions:
            reason = _fault(call, opsets[call.domain])
            if reason:
                place = f"{model.path}: " if model.path else ""
                inside = repr(owner) if isinstance(owner, Node) else f"function {quoted(owner.name)}: {call.op}"
                raise ModelError(f"{place}{inside}: {reason}")
            good.add(call)


def _call(node: Node) -> Call:
    kinds = tuple([(name, _kind(value)) for name, value in node.attrs.items()]) if node.attrs else ()
    given, made = tuple([bool(t.name) for t in node.inputs]), tuple([bool(t.name) for t in node.outputs])
    return Call(node.op, node.domain, given, made, kinds)


def _call_of(node: onnx.NodeProto) -> Call:
    kinds = tuple((one.name, AttributeProto.AttributeType.Name(one.type) if one.type else "") for one in node.attribute)
    domain = "" if node.domain == JUDGED[""] else node.domain
    return Call(node.op_type, domain, tuple(map(bool, node.input)), tuple(map(bool, node.output)), kinds)


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes of a function, and those of the graphs in their attributes."""
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            waiting += attribute.g.node if attribute.HasField("g") else ()
            waiting += (inner for graph in attribute.graphs for inner in graph.node)


def _fault(call: Call, version: int) -> str:
    """What is wrong with a call, in words; "" if nothing is."""
    where = f"opset {version} of {JUDGED[call.domain]}"
    if not version:
        return f"the model does not import {JUDGED[call.domain]}"
    schema = _schema(call.op, call.domain, version)
    if schema is None or (schema.deprecated and _newest(call).deprecated):  # GroupNormalization was, for a while
        if call.op in BEYOND:
            return ""
        return f"{where} has given up this operator" if schema else f"{where} has no such operator{_hint(call)}"
    for what, found, least, most in (
        ("input", len(call.given), schema.min_input, schema.max_input),
        ("output", len(call.made), schema.min_output, schema.max_output),
    ):
        if not least <= found <= most:
            wanted = str(least) if least == most else f"{least} to {most}" if most < 1 << 30 else f"at least {least}"
            return f"it has {counted(found, what)}, {where} wants {wanted}"
    return _missing_input(schema, call.given) or _attribute_fault(schema, dict(call.kinds), where)


def _missing_input(schema: Any, inputs: tuple[bool, ...]) -> str:
    for formal, given in zip(schema.inputs, inputs, strict=False):
        if not given and formal.option == defs.OpSchema.FormalParameterOption.Single:
            return f"its input {formal.name} is left out, which is not optional"
    return ""


def _attribute_fault(schema: Any, kinds: Mapping[str, str], where: str) -> str:
    for name, kind in kinds.items():
        known = schema.attributes.get(name)
        if known is None:
            return f"{where} knows no attribute {quoted(name)} of it"
        if kind and kind != known.type.name:
            return f"its attribute {quoted(name)} is of type {kind}, {where} wants {known.type.name}"
    missing = next((one.name for one in schema.attributes.values() if one.required and one.name not in kinds), None)
    return f"it has no attribute {missing}, without which it means nothing" if missing else ""


def _kind(value: object) -> str:
    """The type of an attribute as onnx calls it; "" where it does not show."""
    if isinstance(value, AttributeProto | AttributeRef | EmptyList):
        return str(AttributeProto.AttributeType.Name(value.type)) if isinstance(value.type, int) else ""
    if isinstance(value, list | tuple):
        kinds = {_kind(item) for item in value}
        return f"{'FLOAT' if kinds == {'INT', 'FLOAT'} else min(kinds)}S"
    return next((kind for types, kind in _KINDS if isinstance(value, types)), "")


def _newest(call: Call) -> Any:
    return _schema(call.op, call.domain, onnx.defs.onnx_opset_version() if not call.domain else 1 << 30)


def _hint(call: Call) -> str:
    newer = _newest(call)
    if newer is not None:
        return f"; it came with opset {newer.since_version}"
    close = get_close_matches(call.op, _names(call.domain), n=1)
    return f"; did you mean {close[0]}?" if close else ""


@lru_cache(maxsize=4096)
def _schema(op: str, domain: str, version: int) -> Any:
    try:
        return defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None


@lru_cache(maxsize=8)
def _names(domain: str) -> tuple[str, ...]:
    return tuple(sorted({one.name for one in defs.get_all_schemas() if one.domain == domain}))
