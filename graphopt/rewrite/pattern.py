"""Patterns: expressions over placeholders that describe a piece of a graph.

    x, scale = Value("x"), Const("scale")
    swish = x * op.Sigmoid(x * scale)

A pattern is immutable and knows nothing of any graph. A match binds pattern objects, never names: the same
object at two places must be the same tensor at both. Which operators commute is said once, here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

PAIR = 2
COMMUTATIVE = frozenset(
    {"Add", "Mul", "And", "Or", "Xor", "Equal", "Max", "Min", "Sum", "Mean", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}
)
"""Operators whose first two inputs may be exchanged."""


class Pattern:
    """Base of all patterns: Python operators build the ONNX operators they stand for.

    Numbers become literals. `a | b` matches either; `-a`, `a ** b` and `a @ b` are Neg, Pow and MatMul.
    """

    def __add__(self, other: Operand) -> Node:
        return Node(("Add",), (self, pattern(other)))

    def __radd__(self, other: Operand) -> Node:
        return Node(("Add",), (pattern(other), self))

    def __sub__(self, other: Operand) -> Node:
        return Node(("Sub",), (self, pattern(other)))

    def __rsub__(self, other: Operand) -> Node:
        return Node(("Sub",), (pattern(other), self))

    def __mul__(self, other: Operand) -> Node:
        return Node(("Mul",), (self, pattern(other)))

    def __rmul__(self, other: Operand) -> Node:
        return Node(("Mul",), (pattern(other), self))

    def __truediv__(self, other: Operand) -> Node:
        return Node(("Div",), (self, pattern(other)))

    def __rtruediv__(self, other: Operand) -> Node:
        return Node(("Div",), (pattern(other), self))

    def __pow__(self, other: Operand) -> Node:
        return Node(("Pow",), (self, pattern(other)))

    def __matmul__(self, other: Pattern) -> Node:
        return Node(("MatMul",), (self, other))

    def __neg__(self) -> Node:
        return Node(("Neg",), (self,))

    def __or__(self, other: Pattern) -> Either:
        return Either((*_alternatives(self), *_alternatives(other)))

    @property
    def children(self) -> tuple[Pattern, ...]:
        """The patterns directly inside this one."""
        return ()

    def walk(self) -> Iterator[Pattern]:
        """This pattern and all inside it, each object once, outermost first."""
        seen: dict[int, Pattern] = {}
        stack: list[Pattern] = [self]
        while stack:
            current = stack.pop()
            if id(current) not in seen:
                seen[id(current)] = current
                stack.extend(reversed(current.children))
        return iter(seen.values())

    @cached_property
    def size(self) -> int:
        """Number of operator calls in the largest alternative."""
        return sum(child.size for child in self.children)

    @cached_property
    def height(self) -> int:
        """Number of operator calls on the longest way through the pattern."""
        return max((child.height for child in self.children), default=0)

    @cached_property
    def required(self) -> frozenset[str]:
        """Operator names that a graph must contain for this pattern to match anywhere."""
        return frozenset().union(*(child.required for child in self.children))


Operand = Pattern | float


@dataclass(frozen=True, eq=False)
class Value(Pattern):
    """Any tensor. `name` is only for messages."""

    name: str = ""
    is_known: ClassVar[bool | None] = None
    """Whether its values must be known, or must not be; None if that does not matter."""

    def __repr__(self) -> str:
        return self.name or type(self).__name__.lower()


class Const(Value):
    """A tensor whose values are known. Looking at them through the match (`m[c]`) is recorded: values that a
    rule never looked at cannot have influenced it, so equal layers with other weights need one check."""

    is_known: ClassVar[bool | None] = True


class Computed(Value):
    """A tensor whose values are not known."""

    is_known: ClassVar[bool | None] = False


@dataclass(frozen=True, eq=False)
class Literal(Pattern):
    """A constant with one element that equals `value` to within a few units of its dtype's precision."""

    value: float

    def __repr__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True, eq=False)
class Opt(Pattern):
    """An optional input: matches `inner`, or an input that is absent (then nothing inside is bound)."""

    inner: Pattern

    @property
    def children(self) -> tuple[Pattern, ...]:
        """The patterns directly inside this one."""
        return (self.inner,)

    @cached_property
    def required(self) -> frozenset[str]:
        """Operator names that a graph must contain for this pattern to match."""
        return frozenset()


@dataclass(frozen=True, eq=False)
class Rest(Pattern):
    """All remaining inputs of a variadic operator, bound as a list of tensors."""

    name: str = ""


@dataclass(frozen=True, eq=False)
class Either(Pattern):
    """The first alternative that leads to a match of the whole."""

    alternatives: tuple[Pattern, ...]

    @property
    def children(self) -> tuple[Pattern, ...]:
        """The patterns directly inside this one."""
        return self.alternatives

    @cached_property
    def size(self) -> int:
        """Number of operator calls in the largest alternative."""
        return max(alternative.size for alternative in self.alternatives)

    @cached_property
    def required(self) -> frozenset[str]:
        """Operator names that a graph must contain for this pattern to match."""
        return frozenset.intersection(*(alternative.required for alternative in self.alternatives))


@dataclass(frozen=True, eq=False)
class Node(Pattern):
    """A call of one of the operators `ops` in `domain`, matched through its output number `output`.

    attrs: name to a required value, or to a predicate of the value; an absent attribute has the value None.
    """

    ops: tuple[str, ...]
    inputs: tuple[Pattern, ...]
    attrs: tuple[tuple[str, Any], ...] = ()
    domain: str = ""
    output: int = 0
    is_shared: bool = False
    is_ordered: bool = False
    original: Node | None = None

    @property
    def key(self) -> Node:
        """The call that this one is a variant of: all outputs of one call are matched by one node."""
        return self.original or self

    @property
    def children(self) -> tuple[Pattern, ...]:
        """The patterns directly inside this one."""
        return self.inputs

    def shared(self) -> Node:
        """The same call, whose outputs may also be used outside the match; its node then stays."""
        return replace(self, is_shared=True, original=self.key)

    def in_order(self) -> Node:
        """The same call with its operands in this order only, even if the operator commutes."""
        return replace(self, is_ordered=True, original=self.key)

    def __getitem__(self, output: int) -> Node:
        """The same call, matched through another of its outputs."""
        return replace(self, output=output, original=self.key)

    @cached_property
    def height(self) -> int:
        """One more than the operands' height."""
        return 1 + max((child.height for child in self.inputs), default=0)

    @cached_property
    def size(self) -> int:
        """Number of operator calls in the largest alternative."""
        return 1 + sum(child.size for child in self.inputs)

    @cached_property
    def required(self) -> frozenset[str]:
        """Operator names that a graph must contain for this pattern to match."""
        own = frozenset(self.ops) if len(self.ops) == 1 else frozenset()
        return own.union(*(child.required for child in self.inputs))

    def orders(self, count: int) -> tuple[tuple[Pattern, ...], ...]:
        """The input orders worth trying for a call with `count` inputs: two where the operator commutes."""
        if count == PAIR and self._commutes:
            return self.inputs, self.inputs[::-1]
        return (self.inputs,)

    @cached_property
    def _commutes(self) -> bool:
        return len(self.inputs) == PAIR and not self.is_ordered and COMMUTATIVE.issuperset(self.ops)

    def __repr__(self) -> str:
        return "|".join(self.ops)


class _Operators:
    """`op.Conv(x, w)` is a pattern; `op.one_of("Relu", "Clip")(x)` and `op.domain("com.microsoft").Gelu(x)` too."""

    def __init__(self, domain: str = "") -> None:
        self._domain = domain

    def __getattr__(self, name: str) -> Callable[..., Node]:
        if not name[:1].isupper():
            raise AttributeError(name)
        return self.one_of(name)

    def one_of(self, *names: str) -> Callable[..., Node]:
        """A call of any of the operators `names`."""

        def call(*inputs: Operand, **attrs: Any) -> Node:
            return Node(names, tuple(map(pattern, inputs)), tuple(attrs.items()), self._domain)

        return call

    def domain(self, name: str) -> _Operators:
        """The operators of another domain."""
        return _Operators(name)


op = _Operators()


def values(names: str) -> tuple[Value, ...]:
    """One `Value` for each of the space-separated names."""
    return tuple(Value(name) for name in names.split())


def pattern(operand: Operand) -> Pattern:
    """The operand itself, or the literal for a number. Raises TypeError for anything that is neither."""
    if isinstance(operand, Pattern):
        return operand
    return Literal(float(operand))


def _alternatives(branch: Pattern) -> tuple[Pattern, ...]:
    return branch.alternatives if isinstance(branch, Either) else (branch,)
