"""Message-by-message comparison of models, up to the normalisation that graphopt.ir.writer documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from graphopt.ir.reader import load
from graphopt.ir.writer import to_proto


def assert_same(original: onnx.ModelProto, written: onnx.ModelProto) -> None:
    differences = [f"{where}: {a!r:.80} -> {b!r:.80}" for where, a, b in _differ(normal(original), normal(written))]
    assert not differences, "\n".join(differences[:20])


def assert_survives(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Reading and writing changes nothing; returns what was written."""
    written = to_proto(load(proto))
    assert_same(proto, written)
    again = to_proto(load(written.SerializeToString()))
    assert again == written, "writing a second time changes something"
    return written


def normal(proto: onnx.ModelProto) -> dict[str, Any]:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for entry in copy.opset_import:
        entry.domain = _domain(entry.domain)
    _normalise(copy.graph, copy.ir_version)
    return _plain(copy)


def _normalise(graph: onnx.GraphProto, ir_version: int) -> None:
    for node in graph.node:
        node.domain = _domain(node.domain)
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _normalise(inner, ir_version)
    inputs = {info.name for info in graph.input}
    interface = inputs | {info.name for info in graph.output}
    initializers = {tensor.name for tensor in graph.initializer}
    existing = initializers | {name for node in graph.node for name in node.output}
    infos = {
        info.name: info
        for info in graph.value_info
        if info.name in existing - interface and (info.name in initializers or _says_something(info))
    }
    _replace(graph.value_info, [infos[name] for name in sorted(infos)])
    if ir_version < 4:
        _replace(graph.input, [info for info in graph.input if info.name not in initializers])
    else:
        _replace(graph.initializer, sorted(graph.initializer, key=lambda tensor: tensor.name in inputs))


def _says_something(info: onnx.ValueInfoProto) -> bool:
    return bool(_plain(info).keys() - {"name"})


def _replace(field: Any, values: list[Any]) -> None:
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(copies)


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _plain(message: Any) -> dict[str, Any]:
    """The message as nested dictionaries, without fields that have their default value."""
    out: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is not None:
            plain = [_plain(item) for item in value] if field.is_repeated else _plain(value)
            if plain:
                out[field.name] = plain
        elif field.is_repeated:
            out[field.name] = list(value)
        elif value != field.default_value or field.name in ("raw_data", "dim_value"):
            out[field.name] = value
    return out


def _differ(a: Any, b: Any, where: str = "model") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key in a and key in b:
                yield from _differ(a[key], b[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}", a.get(key), b.get(key)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _differ(x, y, f"{where}[{index}]")
    elif a != b and repr(a) != repr(b):  # NaN differs from itself
        yield where, a, b
