"""Reading a model: nothing of the file lost, no weight decoded or copied."""

from __future__ import annotations

import functools
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from graphopt.errors import ModelError
from graphopt.ir import calls, sniff, wire
from graphopt.ir.build import Scope, build, named
from graphopt.ir.external import Folder
from graphopt.ir.garbage import uncollected
from graphopt.ir.model import Model
from graphopt.ir.storage import File, Memory, Source
from graphopt.ir.tensors import Tensors
from graphopt.ir.words import check_text, check_texts, quoted

_OPSETS_REQUIRED = 3
"""The IR version from which on a model must say which operator sets it uses."""


def load(source: str | Path | bytes | ModelProto, *, allow_outside: bool = False) -> Model:
    """The model in a file, in the bytes of a file, or in a message.

    A file is mapped: its weights, and those of external data, stay there until somebody asks for their values.
    `allow_outside` admits external data outside the model's folder. Raises ModelError, which says what was found
    instead of a model or which part contradicts itself; UnsafeModelError for data outside the folder.
    """
    if isinstance(source, ModelProto):
        return read(source, Tensors(lambda _: None, Memory(b""), Folder(None)))
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        return _parse(content, Memory(content), Folder(None))
    path = Path(source)
    try:
        file = _open(path)
        model = _parse(file.content, file, Folder(path, allow_outside=allow_outside))
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error
    model.path = path
    return model


def _open(path: Path) -> File:
    try:
        unusual = sniff.unusual(path, path.stat().st_mode)
        if unusual:
            raise ModelError(f"this is not an ONNX model but {unusual}")
        return File(path)
    except FileNotFoundError:
        raise ModelError("there is no such file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _parse(content: wire.Buffer, source: Source, folder: Folder) -> Model:
    if not len(content):
        raise ModelError("the file is empty")
    try:
        skeleton, markers = wire.cut(content)
        proto = ModelProto.FromString(skeleton)
        complete = proto.HasField("graph") and (proto.ir_version > 0 or len(proto.opset_import) > 0)
        problem = None if complete else "it has no graph, or does not say which version of ONNX it is"
    except ModelError as error:
        problem = str(error)
    except DecodeError as error:
        problem = f"it is damaged, or nests graphs deeper than protobuf allows ({error})"
    if problem is not None:
        known = sniff.foreign(content[: sniff.HEAD])
        raise ModelError(f"this is not an ONNX model but {known}" if known else f"no ONNX model: {problem}")
    return read(proto, Tensors(markers.find, source, folder))


def read(proto: ModelProto, tensors: Tensors) -> Model:
    """The model in a message, whose weights `tensors` finds. Raises ModelError if it contradicts itself."""
    check_text(
        proto.producer_name,
        proto.producer_version,
        proto.domain,
        proto.doc_string,
        proto.graph.name,
        proto.graph.doc_string,
    )
    _check_version(proto.ir_version)
    opsets = _opsets(proto)
    extra = _rest(proto)
    functions = [_copied(function) for function in proto.functions]
    for kept in (extra, *functions):
        check_texts(kept)
    calls.check(functions)
    for kept in (extra, *functions):
        tensors.bring_in(kept)
    with uncollected():
        graph = build(proto.graph, Scope(tensors, opsets, proto.ir_version))
    graph.ir_version = proto.ir_version
    graph.producer_name, graph.producer_version = proto.producer_name, proto.producer_version
    return Model(
        graph=graph,
        ir_version=proto.ir_version,
        producer_name=proto.producer_name,
        producer_version=proto.producer_version,
        domain=proto.domain,
        model_version=proto.model_version,
        doc_string=proto.doc_string,
        metadata=named(proto.metadata_props),
        functions=functions,
        extra=extra if extra.ByteSize() else None,
    )


def _check_version(version: int) -> None:
    if version > onnx.IR_VERSION:
        raise ModelError(
            f"it is of version {version} of the format, newer than the {onnx.IR_VERSION} that the installed onnx "
            f"{onnx.__version__} knows: upgrade onnx, or export the model for an older one"
        )


@functools.cache
def _newest() -> dict[str, int]:
    """The newest version of the standard's operator sets that the installed onnx knows."""
    return {"": onnx.defs.onnx_opset_version(), "ai.onnx.ml": max(row[3] for row in onnx.helper.VERSION_TABLE)}


def _rest(proto: ModelProto) -> ModelProto:
    """What `proto` has besides the fields that Model has."""
    rest = ModelProto()
    rest.training_info.extend(proto.training_info)
    rest.configuration.extend(proto.configuration)
    return rest


def _copied(function: onnx.FunctionProto) -> onnx.FunctionProto:
    copy = onnx.FunctionProto()
    copy.CopyFrom(function)
    return copy


def _opsets(proto: ModelProto) -> dict[str, int]:
    """Domain to version, in file order; `ai.onnx` is the default domain."""
    opsets: dict[str, int] = {}
    for entry in proto.opset_import:
        check_text(entry.domain)
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise ModelError(
                f"it imports two versions of the operator set {quoted(domain or 'ai.onnx')}: "
                f"{opsets[domain]} and {entry.version}"
            )
        if entry.version < 1:
            raise ModelError(f"version {entry.version} of the operator set {quoted(domain or 'ai.onnx')} cannot be")
    for domain, newest in _newest().items():
        if opsets.get(domain, 0) > newest:
            raise ModelError(
                f"it uses operator set {opsets[domain]} of {domain or 'ai.onnx'}, newer than the {newest} that the "
                f"installed onnx {onnx.__version__} knows: upgrade onnx, or export the model for opset {newest}"
            )
    if not opsets and proto.ir_version >= _OPSETS_REQUIRED:
        raise ModelError("it does not say which operator sets it uses (opset_import is empty)")
    return opsets
