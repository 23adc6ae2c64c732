"""Types by onnx's own inference, for the operators that our tables leave out.

onnx computes with an unknown dimension as if it were 0 in several operators, so a number that it returns for
inputs of unknown size is believed only if it stays the same for two choices of those sizes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import onnx
from onnx import checker, helper, shape_inference

from graphopt.analysis.order import evaluate
from graphopt.analysis.symbolic import Expression, symbol, symbols
from graphopt.analysis.text import parse
from graphopt.analysis.types import UNKNOWN, Dims, Type
from graphopt.ir import dtypes
from graphopt.ir.types import Constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphopt.analysis.call import Call
    from graphopt.analysis.symbolic import Scalar

PROBES = (range(24, 24 * 64, 24), range(24 * 96, 24 * 32, -24))
"""Sizes that stand for unknown dimensions: with many divisors, in two orders."""

CONTRADICTIONS = (shape_inference.InferenceError, checker.ValidationError, RuntimeError, ValueError)
"""What onnx raises where a node contradicts its schema."""


@lru_cache(maxsize=4096)
def schema_of(op: str, domain: str, version: int) -> onnx.defs.OpSchema | None:
    """The schema of an operator, or None where onnx cannot infer its types."""
    if not onnx.defs.has(op, version, domain):
        return None
    schema = onnx.defs.get_schema(op, version, domain)
    own = schema.has_type_and_shape_inference_function
    return schema if own or schema.has_function else None  # type: ignore[attr-defined]  # onnx's own types do not name it


def infer_with_onnx(call: Call) -> list[Type]:
    """Output types by onnx's inference for one node; nothing where it has none."""
    schema = schema_of(call.op, call.domain, call.version)
    attributes = attribute_protos(call.attrs)
    if schema is None or attributes is None:
        return []
    types = [None if t is None else _marked(t, i) for i, t in enumerate(call.types)]
    names = sorted({name for t in types if t is not None for d in t.dims or () for name in symbols(d or 0)})
    found = _infer(schema, call, types, attributes)
    for sizes in PROBES if names and found else ():
        binding = dict(zip(names, sizes, strict=False))
        probe = _infer(schema, call, [None if t is None else _bound(t, binding) for t in types], attributes)
        found = [_confirmed(t, p, binding) for t, p in zip(found, probe or [UNKNOWN] * len(found), strict=True)]
    vague = bool(names) or any(t is not None and t.proto and _vague(t) for t in types)
    return [
        _cautious(t) if vague and (t.proto or any(u.proto for u in types if u is not None)) else _unmarked(t)
        for t in found
    ]


def _vague(type_: Type) -> bool:
    """Whether a sequence, or the like, holds tensors with a dimension that is no number."""
    tensor = _held(proto_of(type_)).tensor_type
    return not tensor.HasField("shape") or any(not d.HasField("dim_value") for d in tensor.shape.dim)


def _held(proto: onnx.TypeProto) -> onnx.TypeProto:
    """The type of what a sequence or an optional holds, itself for others."""
    while (kind := proto.WhichOneof("value")) in ("sequence_type", "optional_type"):
        proto = getattr(proto, kind).elem_type
    return proto


def _cautious(type_: Type) -> Type:
    """Only the element type: sizes inside sequences are not probed."""
    if not type_.proto:
        return Type(type_.dtype)
    proto = proto_of(type_)
    held = _held(proto)
    if held.WhichOneof("value") == "tensor_type":
        held.tensor_type.ClearField("shape")
    return Type(proto=proto.SerializeToString())


def _infer(
    schema: onnx.defs.OpSchema,
    call: Call,
    types: Sequence[Type | None],
    attributes: Sequence[onnx.AttributeProto],
) -> list[Type]:
    names = ["" if t is None else f"i{i}" for i, t in enumerate(types)]
    outputs = [f"o{i}" for i in range(call.outputs)]
    node = helper.make_node(call.op, names, outputs, domain=call.domain)
    node.attribute.extend(attributes)
    given = {name: proto_of(t or UNKNOWN) for name, t in zip(names, types, strict=True) if name}
    data = {name: tensor for i, name in enumerate(names) if (tensor := _data(call, i)) is not None}
    opsets = [helper.make_opsetid(call.domain, call.version)]
    try:
        found = shape_inference.infer_node_outputs(schema, node, given, data, opset_imports=opsets)
    except CONTRADICTIONS:
        return []
    return [type_of(found[name]) if name in found else UNKNOWN for name in outputs]


def _marked(type_: Type, index: int) -> Type:
    """Unknown dimensions with names that no model has, so that onnx can pass them through."""
    if type_.dims is None:
        return type_
    return Type(
        type_.dtype, [symbol(f"?{index}.{i}") if d is None else d for i, d in enumerate(type_.dims)], type_.proto
    )


def _unmarked(type_: Type) -> Type:
    if type_.dims is None:
        return type_
    marked = [d is not None and any(name.startswith("?") for name in symbols(d)) for d in type_.dims]
    dims = [None if m else d for m, d in zip(marked, type_.dims, strict=True)]
    return Type(type_.dtype, dims, type_.proto)


def _bound(type_: Type, binding: dict[str, int]) -> Type:
    return Type(type_.dtype, _evaluated(type_.dims, binding), type_.proto)


def _evaluated(dims: Dims | None, binding: dict[str, int]) -> list[Scalar | None] | None:
    return None if dims is None else [None if d is None else evaluate(d, binding) for d in dims]


def _confirmed(type_: Type, probe: Type, binding: dict[str, int]) -> Type:
    """`type_` less what `probe`, the same at other sizes, contradicts or does not show."""
    if type_.dims is None:
        return type_
    if probe.dims is None:
        return Type(type_.dtype, [d if isinstance(d, Expression) else None for d in type_.dims])
    if len(probe.dims) != len(type_.dims):
        return Type(type_.dtype)
    expected = _evaluated(type_.dims, binding) or ()
    triples = zip(type_.dims, expected, probe.dims, strict=True)
    return Type(type_.dtype, [d if want == got else None for d, want, got in triples])


def _data(call: Call, index: int) -> onnx.TensorProto | None:
    value, dtype = call.value(index), call.dtype(index)
    if value is None or dtype is None or dtype.kind not in "iubf":
        return None
    numbers = [e for e in value.elements if e is not None and not isinstance(e, Expression)]
    if len(numbers) < len(value.elements):
        return None
    plain = [float(e) if dtype.kind == "f" else int(e) for e in numbers]
    return helper.make_tensor(f"i{index}", dtypes.elem_type(dtype), value.shape, plain)


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
    proto = onnx.TypeProto()
    if type_.proto:
        proto.ParseFromString(type_.proto)
        return proto
    tensor = proto.tensor_type
    tensor.elem_type = 0 if type_.dtype is None else dtypes.elem_type(type_.dtype)
    if type_.dims is not None:
        tensor.shape.SetInParent()
    for dim in type_.dims or ():
        written = tensor.shape.dim.add()
        if isinstance(dim, Expression):
            written.dim_param = str(dim)
        elif dim is not None:
            written.dim_value = int(dim)
    return proto


def type_of(proto: onnx.TypeProto) -> Type:
    """A type that onnx wrote. Dimension names are texts of expressions that came from `proto_of`."""
    kind = proto.WhichOneof("value")
    if kind != "tensor_type":
        return Type(proto=proto.SerializeToString()) if kind else UNKNOWN
    tensor = proto.tensor_type
    dtype = dtypes.numpy_dtype(tensor.elem_type) if tensor.elem_type else None
    if not tensor.HasField("shape"):
        return Type(dtype)
    return Type(dtype, [_dim_of(d) for d in tensor.shape.dim])


def _dim_of(dim: onnx.TensorShapeProto.Dimension) -> Scalar | None:
    if dim.HasField("dim_value"):
        return dim.dim_value if dim.dim_value >= 0 else None
    return parse(dim.dim_param) if dim.dim_param else None
