"""How the axes of the tensors of one operator hang together, and how the operator is called in another layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphopt.analysis.shapes import Shapes
from graphopt.ir.types import Array, Node, Tensor
from passes.layout.orders import Letters


@dataclass(frozen=True)
class Change:
    """What differs in the call besides the layouts: attributes (None: left out), and integer inputs by position."""

    attrs: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[int, Array] = field(default_factory=dict)


class Turned(NamedTuple):
    """A call in another layout: the names of the axes of all its inputs and outputs (None: untouched), reordered."""

    inputs: tuple[Letters | None, ...]
    outputs: tuple[Letters | None, ...]

    def first(self) -> Letters:
        """The axes of the first input, which this operator moves."""
        return self.inputs[0] or ()

    def result(self) -> Letters:
        """The axes of the first output."""
        return self.outputs[0] or ()


class Axes(NamedTuple):
    """The axes of the tensors of one call.

    inputs, outputs: a name for each axis; None for tensors that no change of layout concerns.
    universe: all names, in the order in which they lie in the call as it is.
    retune: how the call is to be changed for another order; None where the operator has no such form.
    error: rounding errors that another order of the same sums may make; 0 where each element is computed alike.
    slow: whether the operator itself would move all its elements in this order.
    """

    inputs: tuple[Letters | None, ...]
    outputs: tuple[Letters | None, ...]
    universe: Letters
    retune: Callable[[Turned], Change | None] = lambda _: Change()
    error: float = 0
    slow: Callable[[Turned], bool] = lambda _: False


class Call(NamedTuple):
    """A node, and what is known of its operands."""

    node: Node
    shapes: Shapes
    opset: int

    def rank(self, tensor: Tensor) -> int | None:
        """Number of dimensions, None if unknown."""
        return self.shapes.rank(tensor)

    def has(self, index: int) -> bool:
        """Whether the call has an input at this position."""
        return len(self.node.inputs) > index and bool(self.node.inputs[index].name)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default`."""
        return self.node.attrs.get(name, default)

    def values(self, index: int) -> Array | None:
        """The values of a small constant or known integer input."""
        return self.shapes.known(self.node.inputs[index]) if self.has(index) else None

    def numbers(self, index: int) -> list[int] | None:
        """The values of an integer vector as numbers."""
        known = self.values(index)
        return None if known is None else [int(one) for one in known.reshape(-1)]

    def one_element(self, tensor: Tensor) -> bool:
        """Whether a tensor certainly has a single element."""
        shape = self.shapes.static(tensor)
        return shape is not None and all(dim == 1 for dim in shape)


Describe = Callable[[Call], Axes | None]
TABLE: dict[str, Describe] = {}
"""Operator ("Add", "com.microsoft.QLinearAdd") to what it says of its axes; None for a form that nothing is said of."""


def operators(*keys: str) -> Callable[[Describe], Describe]:
    """Enter a function for these operators."""

    def enter(describe: Describe) -> Describe:
        TABLE.update(dict.fromkeys(keys, describe))
        return describe

    return enter


def keeping(*axes: int) -> Callable[[Turned], Change | None]:
    """A `retune` that changes nothing, and wants these axes of the first input where they are."""

    def retune(turned: Turned) -> Change | None:
        return Change() if all(turned.first()[axis] == axis for axis in axes) else None

    return retune
