"""From one operator call to the types and values of its outputs: our tables first, else onnx's own inference."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import onnx
from onnx import helper, shape_inference

from graphopt.analysis import integers, operators
from graphopt.analysis.call import NEEDS, READS, TYPES, VALUES, Call
from graphopt.analysis.symbolic import Expression
from graphopt.analysis.text import parse
from graphopt.analysis.types import UNKNOWN, SymbolicArray, Type
from graphopt.ir import dtypes
from graphopt.ir.types import Constant

if TYPE_CHECKING:
    from graphopt.analysis.symbolic import Scalar

__all__ = ["Result", "infer", "infer_with_onnx", "integers", "needed", "operators", "proto_of", "type_of"]

MALFORMED = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What a transfer function raises on a node that contradicts itself: then nothing is known of its outputs."""


class Result(NamedTuple):
    """Types and values of a call's outputs, one each."""

    types: tuple[Type, ...]
    values: tuple[SymbolicArray | None, ...]


def key_of(op: str, domain: str) -> str:
    """The name of an operator in the tables."""
    return f"{domain}.{op}" if domain else op


@lru_cache(maxsize=4096)
def needed(op: str, domain: str, count: int) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """What a call with `count` inputs depends on besides types: the inputs whose values its type reads, those
    without whose values it has none to compute, and whether it computes values at all.
    """
    key = key_of(op, domain)
    every = tuple(range(count))
    reads = READS.get(key, ()) if key in TYPES else every
    needs = NEEDS.get(key)
    return tuple(i for i in reads if i < count), every if needs is None else needs, key in VALUES


def infer(call: Call) -> Result:
    """Types and values of the outputs; unknown where the tables, and onnx, know nothing. Never raises."""
    count = call.outputs
    try:
        types = _types(call)
    except MALFORMED:
        types = []
    types = [*types[:count], *[UNKNOWN] * (count - len(types))]
    try:
        values = _values(call)
    except MALFORMED:
        values = []
    values = [*values[:count], *[None] * (count - len(values))]
    return Result(tuple(map(_agreed, types, values)), tuple(values))


def _types(call: Call) -> list[Type]:
    transfer = TYPES.get(key_of(call.op, call.domain))
    found = transfer(call) if transfer is not None else None
    if found is None:
        return infer_with_onnx(call)
    return [found] if isinstance(found, Type) else list(found)


def _values(call: Call) -> list[SymbolicArray | None]:
    transfer = VALUES.get(key_of(call.op, call.domain))
    found = transfer(call) if transfer is not None else None
    if found is None:
        return []
    return [found] if isinstance(found, SymbolicArray) else list(found)


def _agreed(type_: Type, value: SymbolicArray | None) -> Type:
    """A value has a shape, which says as much as the type does."""
    return type_ if value is None or type_.dims is not None else Type(type_.dtype, value.shape)


# --- onnx -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def schema_of(op: str, domain: str, version: int) -> onnx.defs.OpSchema | None:
    """The schema of an operator, or None for operators that onnx does not know."""
    try:
        schema = onnx.defs.get_schema(op, version, domain)
    except onnx.defs.SchemaError:
        return None
    return schema if schema.has_type_and_shape_inference_function or schema.has_function else None


def infer_with_onnx(call: Call) -> list[Type]:
    """Output types by onnx's inference for one node."""
    schema = schema_of(call.op, call.domain, call.version)
    attributes = attribute_protos(call.attrs)
    if schema is None or attributes is None:
        return []
    names = ["" if t is None else f"i{i}" for i, t in enumerate(call.types)]
    outputs = [f"o{i}" for i in range(call.outputs)]
    node = helper.make_node(call.op, names, outputs, domain=call.domain)
    node.attribute.extend(attributes)
    given = {name: proto_of(t or UNKNOWN) for name, t in zip(names, call.types, strict=True) if name}
    data = {name: tensor for i, name in enumerate(names) if (tensor := _data(call, i)) is not None}
    opsets = [helper.make_opsetid(call.domain, call.version)]
    try:
        found = shape_inference.infer_node_outputs(schema, node, given, data, opset_imports=opsets)
    except (onnx.shape_inference.InferenceError, RuntimeError):
        return []
    return [type_of(found[name]) if name in found else UNKNOWN for name in outputs]


def _data(call: Call, index: int) -> onnx.TensorProto | None:
    value, dtype = call.value(index), call.dtype(index)
    if value is None or dtype is None or not value.numbers or dtype.kind not in "iubf":
        return None
    numbers = [float(e) if dtype.kind == "f" else int(e) for e in value.elements]  # type: ignore[arg-type]
    return helper.make_tensor(f"i{index}", dtypes.elem_type(dtype), value.shape, numbers)


def attribute_protos(attrs: dict[str, Any]) -> list[onnx.AttributeProto] | None:
    """Attributes for inference (tensors without their data); None if one is a graph or a reference."""
    result = []
    for name, value in attrs.items():
        if isinstance(value, onnx.AttributeProto):
            result.append(value)
        elif isinstance(value, Constant):
            tensor = onnx.TensorProto(data_type=dtypes.elem_type(value.dtype), dims=value.shape)
            result.append(helper.make_attribute(name, tensor))
        elif isinstance(value, int | float | str | bytes) or (isinstance(value, list) and _plain(value)):
            result.append(helper.make_attribute(name, value, attr_type=getattr(value, "type", None)))
        else:
            return None
    return result


def _plain(values: list[Any]) -> bool:
    return all(isinstance(v, int | float | str | bytes) for v in values)


def proto_of(type_: Type) -> onnx.TypeProto:
    """The type as onnx writes it, expressions as dimension names."""
    if type_.proto:
        return onnx.TypeProto.FromString(type_.proto)
    code = 0 if type_.dtype is None else dtypes.elem_type(type_.dtype)
    dims = None if type_.dims is None else [_dim_proto(d) for d in type_.dims]
    return helper.make_tensor_type_proto(code, dims)


def _dim_proto(dim: Scalar | None) -> int | str | None:
    return str(dim) if isinstance(dim, Expression) else None if dim is None else int(dim)


def type_of(proto: onnx.TypeProto) -> Type:
    """A type that onnx wrote. Dimension names are texts of expressions that came from `proto_of`."""
    if proto.WhichOneof("value") != "tensor_type":
        return Type(proto=proto.SerializeToString()) if proto.WhichOneof("value") else UNKNOWN
    tensor = proto.tensor_type
    dtype = dtypes.numpy_dtype(tensor.elem_type) if tensor.elem_type else None
    if not tensor.HasField("shape"):
        return Type(dtype)
    return Type(dtype, [_dim_of(d) for d in tensor.shape.dim])


def _dim_of(dim: onnx.TensorShapeProto.Dimension) -> Scalar | None:
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None
    return parse(dim.dim_param) if dim.dim_param else None
