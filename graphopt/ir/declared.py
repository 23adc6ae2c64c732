"""ValueInfoProto and what it declares of a tensor, in both directions.

Networks declare few different types many times, so each is taken apart, or put together, once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from onnx import TypeProto, ValueInfoProto

from graphopt.errors import ModelError
from graphopt.ir import dtypes
from graphopt.ir.dtypes import DType
from graphopt.ir.types import Shape, Tensor, Variable
from graphopt.ir.words import check_text, check_texts, quoted


class Declared(NamedTuple):
    """A type, taken apart: `kind` is `tensor_type`, `sequence_type`, ...; `more` if the type says more than the rest.

    dtype and shape are None where it does not say, and for all but tensors.
    """

    kind: str
    dtype: DType | None
    shape: Shape | None
    more: bool


def declared(info: ValueInfoProto) -> Declared:
    """The type in a declaration. ModelError if its dtype does not exist."""
    try:
        return _taken_apart(info.type.SerializeToString())
    except ModelError as error:
        raise ModelError(f"tensor {quoted(info.name)}: {error}") from error


@lru_cache(4096)
def _taken_apart(serialised: bytes) -> Declared:
    proto = TypeProto.FromString(serialised)
    kind = proto.WhichOneof("value") or "tensor_type"
    if not proto.HasField("tensor_type"):
        return Declared(kind, None, None, more=len(serialised) > 0)
    tensor = proto.tensor_type
    try:
        dtype = dtypes.numpy_dtype(tensor.elem_type) if tensor.elem_type else None
    except KeyError:
        raise ModelError(f"element type {tensor.elem_type} does not exist") from None
    dims = tensor.shape.dim
    more = bool(proto.denotation) or any(dim.denotation or dim.dim_value < 0 for dim in dims)
    check_text(*(dim.dim_param for dim in dims))
    shape = tuple(
        dim.dim_param or (dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None) for dim in dims
    )
    return Declared(kind, dtype, shape if tensor.HasField("shape") else None, more)


def declare(tensor: Tensor, info: ValueInfoProto) -> None:
    """Note on `tensor` what the file declares about it."""
    more = True
    if isinstance(tensor, Variable):
        tensor.type, tensor.dtype, tensor.shape, more = declared(info)
    if more or info.doc_string or info.metadata_props:
        copy = ValueInfoProto()
        copy.CopyFrom(info)
        check_texts(copy)
        tensor.info = copy


def fill(proto: ValueInfoProto, tensor: Tensor) -> None:
    """Say in an empty `proto` what is known of `tensor`: what the file said, corrected where it is no longer true."""
    info = tensor.info
    if info is not None:
        proto.CopyFrom(info)
    proto.name = tensor.name
    if info is not None and _is_true(info, tensor):
        return
    if tensor.dtype is None and tensor.shape is None:
        proto.ClearField("type")
        return
    shape = None if tensor.shape is None else tuple(tensor.shape)
    new = _put_together(tensor.dtype, shape)
    if info is not None:
        new = _with_denotations(new, info.type)
    proto.type.CopyFrom(new)


def _is_true(info: ValueInfoProto, tensor: Tensor) -> bool:
    """Whether a declaration still holds; for constants one that says little is as good."""
    _, dtype, shape, _ = declared(info)
    if isinstance(tensor, Variable):
        return (dtype, shape) == (tensor.dtype, tensor.shape)
    known = () if shape is None else zip(shape, tensor.shape, strict=False)
    return (
        dtype in (None, tensor.dtype)
        and (shape is None or len(shape) == len(tensor.shape))
        and all(not isinstance(size, int) or size == actual for size, actual in known)
    )


@lru_cache(4096)
def _put_together(dtype: DType | None, shape: Shape | None) -> TypeProto:
    proto = TypeProto()
    proto.tensor_type.elem_type = 0 if dtype is None else dtypes.elem_type(dtype)
    if shape is not None:
        proto.tensor_type.shape.SetInParent()
    for size in shape or ():
        dim = proto.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size
    return proto


def _with_denotations(new: TypeProto, old: TypeProto) -> TypeProto:
    """The new type with what the old one says of its meaning; of dimensions, if the rank is the same."""
    copy = TypeProto()
    copy.CopyFrom(new)
    if old.denotation:
        copy.denotation = old.denotation
    dims, before = copy.tensor_type.shape.dim, old.tensor_type.shape.dim
    if len(dims) == len(before):
        for dim, same in zip(dims, before, strict=True):
            if same.denotation:
                dim.denotation = same.denotation
    return copy
