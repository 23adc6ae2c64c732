"""One operator call as transfer functions see it, and the two tables in which they are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphopt.analysis.order import Facts
from graphopt.analysis.types import UNKNOWN, Dims, SymbolicArray, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.dtypes import DType


class Call:
    """An operator with the types and values of its inputs (None for an omitted input).

    version: opset version of `domain`; outputs: how many outputs the node has; facts: sizes known not to be negative.
    """

    __slots__ = ("attrs", "domain", "facts", "op", "outputs", "types", "values", "version")

    def __init__(
        self,
        op: str,
        types: Sequence[Type | None],
        values: Sequence[SymbolicArray | None] = (),
        attrs: dict[str, Any] | None = None,
        version: int = 1,
        outputs: int = 1,
        domain: str = "",
        facts: Facts | None = None,
    ) -> None:
        self.op, self.domain, self.version, self.outputs = op, domain, version, outputs
        self.attrs = attrs or {}
        self.types, self.values = types, values
        self.facts = facts or Facts()

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.types) and self.types[index] is not None

    def type(self, index: int) -> Type:
        """Type of input `index`; unknown if it is omitted."""
        return (self.types[index] or UNKNOWN) if index < len(self.types) else UNKNOWN

    def dtype(self, index: int) -> DType | None:
        """Element type of input `index`."""
        return self.type(index).dtype

    def dims(self, index: int) -> Dims | None:
        """Dimensions of input `index`."""
        return self.type(index).dims

    def rank(self, index: int) -> int | None:
        """Number of dimensions of input `index`."""
        dims = self.type(index).dims
        return None if dims is None else len(dims)

    def value(self, index: int) -> SymbolicArray | None:
        """The values of input `index`, where any are known."""
        return self.values[index] if index < len(self.values) else None

    def elements(self, index: int) -> tuple[Scalar | None, ...] | None:
        """The elements of input `index` in row-major order."""
        value = self.value(index)
        return None if value is None else value.elements

    def scalar(self, index: int) -> Scalar | None:
        """The only element of input `index`."""
        elements = self.elements(index)
        return elements[0] if elements is not None and len(elements) == 1 else None

    def ints(self, index: int) -> list[int] | None:
        """The elements of input `index` where all are integers."""
        elements = self.elements(index)
        if elements is None or not all(isinstance(e, int) for e in elements):
            return None
        return [int(e) for e in elements if isinstance(e, int)]

    def since(self, version: int) -> bool:
        """Whether the operator has the meaning that it got in opset `version`."""
        return self.version >= version

    def size(self, value: Scalar | None) -> Scalar | None:
        """`value` if it can only be the size of a dimension; None if it might be negative: -1 means otherwise."""
        return value if value is not None and self.facts.at_least(value, 0) else None

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attrs.get(name, default)


Transfer = "Callable[[Call], Sequence[Type] | Type | None]"
Values = "Callable[[Call], SymbolicArray | Sequence[SymbolicArray | None] | None]"

TYPES: dict[str, Callable[[Call], Sequence[Type] | Type | None]] = {}
"""Operator ("Add", "com.microsoft.Gelu") to the function that knows its output types; None: ask onnx."""

READS: dict[str, tuple[int, ...]] = {}
"""Operator to the inputs whose values its type depends on."""

VALUES: dict[str, Callable[[Call], SymbolicArray | Sequence[SymbolicArray | None] | None]] = {}
"""Operator to the function that knows output values."""

NEEDS: dict[str, tuple[int, ...] | None] = {}
"""Operator to the inputs without whose values its `VALUES` function has nothing to say; None: all inputs."""


def types(*operators: str, reads: tuple[int, ...] = ()) -> Callable[[Any], Any]:
    """Registers a function from a call to the types of its outputs."""

    def register(function: Any) -> Any:
        for operator in operators:
            TYPES[operator] = function
            READS[operator] = reads
        return function

    return register


def values(*operators: str, needs: tuple[int, ...] | None = None) -> Callable[[Any], Any]:
    """Registers a function from a call to the values of its outputs."""

    def register(function: Any) -> Any:
        for operator in operators:
            VALUES[operator] = function
            NEEDS[operator] = needs
        return function

    return register
