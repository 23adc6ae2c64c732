"""What is known of a tensor: its type with symbolic dimensions, and the values of small integer tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphopt.analysis.symbolic import Expression, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphopt.ir.dtypes import DType

Dims = tuple[Scalar | None, ...]
"""Dimensions, each a number, an expression, or None where nothing is known."""

Known = tuple[Scalar, ...]
"""Dimensions of which each is known."""

Elements = np.ndarray[Any, np.dtype[np.object_]]
"""An object array whose elements are `Scalar | None`."""

MOST_ELEMENTS = 4096
"""Symbolic values of larger tensors are not kept."""


class TypeInfo(NamedTuple):
    """Element type and shape of a tensor; None for what is not known.

    A dimension is an int, the canonical text of an expression in named dimensions, or None.
    """

    dtype: DType | None = None
    shape: tuple[int | str | None, ...] | None = None


class Type:
    """`TypeInfo` with dimensions as expressions. Immutable, hashed once: types are keys of the memo.

    proto: the serialised `onnx.TypeProto` of what is no dense tensor (sequences, optionals, maps).
    """

    __slots__ = ("_hash", "dims", "dtype", "proto")

    dtype: DType | None
    dims: Dims | None
    proto: bytes

    def __init__(
        self, dtype: DType | None = None, dims: Iterable[Scalar | None] | None = None, proto: bytes = b""
    ) -> None:
        self.dtype = dtype
        self.dims = None if dims is None else tuple(dims)
        self.proto = proto
        self._hash = hash((dtype, self.dims, proto))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Type) and (self._hash, self.dtype, self.dims, self.proto) == (
            other._hash, other.dtype, other.dims, other.proto,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Type({self.info()})"

    def info(self) -> TypeInfo:
        """The type as users see it."""
        if self.dims is None:
            return TypeInfo(self.dtype, None)
        return TypeInfo(self.dtype, tuple(d if isinstance(d, int) or d is None else str(d) for d in self.dims))


UNKNOWN = Type()


class SymbolicArray:
    """The values of a small tensor: `elements` in row-major order, each a number, an expression or None.

    Immutable. Elements of boolean tensors are 0 and 1; elements of floating tensors are exact rationals.
    """

    __slots__ = ("_hash", "elements", "shape")

    shape: tuple[int, ...]
    elements: tuple[Scalar | None, ...]

    def __init__(self, shape: tuple[int, ...], elements: tuple[Scalar | None, ...]) -> None:
        self.shape, self.elements = shape, elements
        self._hash = hash((shape, elements))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, SymbolicArray) and (self._hash, self.shape, self.elements) == (
            other._hash, other.shape, other.elements,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"SymbolicArray({self.shape}, [{', '.join(map(str, self.elements))}])"

    @classmethod
    def of(cls, array: Elements | np.ndarray[Any, Any]) -> SymbolicArray:
        """The elements of an object array, or of an array of Python-convertible numbers."""
        return cls(array.shape, tuple(array.ravel().tolist()))

    @property
    def array(self) -> Elements:
        """The elements as a new object array."""
        result = np.empty(len(self.elements), dtype=object)
        result[:] = self.elements
        return result.reshape(self.shape)

    @property
    def numbers(self) -> bool:
        """Whether every element is a known number."""
        return all(e is not None and not isinstance(e, Expression) for e in self.elements)


def all_known(dims: Dims | None) -> Known | None:
    """The dimensions, if each is known."""
    known = tuple(dim for dim in dims or () if dim is not None)
    return None if dims is None or len(known) < len(dims) else known


def join(a: Type, b: Type) -> Type:
    """What is true of a tensor that has either type."""
    if a == b:
        return a
    dims = None
    if a.dims is not None and b.dims is not None and len(a.dims) == len(b.dims):
        dims = tuple(x if x == y else None for x, y in zip(a.dims, b.dims, strict=True))
    return Type(a.dtype if a.dtype == b.dtype else None, dims, a.proto if a.proto == b.proto else b"")


def join_values(a: SymbolicArray | None, b: SymbolicArray | None) -> SymbolicArray | None:
    """The elements on which `a` and `b` agree."""
    if a is None or b is None or a.shape != b.shape:
        return None
    return SymbolicArray(a.shape, tuple(x if x == y else None for x, y in zip(a.elements, b.elements, strict=True)))
