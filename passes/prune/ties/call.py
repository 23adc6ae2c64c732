"""One operator call as the table of ties sees it, and the table.

An entry says what belongs together: `call.letters("nc*,oc*,o->no*")` names the axes of the operands as `Einsum` does.
The same letter is the same index; a letter that no output has is summed over; `*` stands for the axes in the middle,
which stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from graphopt.analysis.inference import key_of
from graphopt.ir.types import Array, Constant, Node, Tensor
from passes.prune.sites import ONE, Sites
from passes.prune.ties.letters import Place, read
from passes.prune.ties.role import Role, Untold

if TYPE_CHECKING:
    from passes.prune.digits import Block


INTEGER = np.int64
FOLLOWS = -2
"""In a changed integer input: the element stays what it is, because it is a size that is free."""


class Kept(Protocol):
    """What is left along the axes after a cut."""

    def indices(self, tensor: Tensor, axis: int) -> Array:
        """The indices that stay, of those that the axis has now."""

    def size(self, tensor: Tensor, axis: int) -> int | None:
        """How many stay; None for an axis of free size."""

    def own(self, node: Node) -> Array | None:
        """The indices that stay of the node's own site; None if it has none."""


@dataclass(frozen=True)
class Change:
    """What differs in a call after a cut, besides its constants: attributes (None: left out) and integer inputs; value:
    what its output holds nevertheless, as before the cut."""

    attrs: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[int, Array] = field(default_factory=dict)
    value: Array | None = None


MOVES = {"Identity", "Transpose", "Unsqueeze", "Squeeze", "Cast", "CastLike", "Reshape", "Flatten"}
"""Operators through which a constant is still the same weights, lying in another way."""


@dataclass(eq=False)
class Ties:
    """What the entries of the table have said. roles: of constants, by the call and the position of the input and axis.
    blocks: Reshapes that merge or split axes, along one of which they may be cut. inner: the sites of nodes' own.
    makers: the call that makes a tensor. matrices: constants of the file, and what stands for them in calls."""

    sites: Sites
    roles: dict[tuple[Node, int, int], Role] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    inner: dict[Node, int] = field(default_factory=dict)
    makers: dict[Tensor, Call] = field(default_factory=dict)
    matrices: dict[Constant, Constant] = field(default_factory=dict)
    _sources: dict[Tensor, tuple[Tensor, ...] | None] = field(default_factory=dict)

    def source(self, tensor: Tensor) -> tuple[Tensor, ...] | None:
        """The tensors from this one to the constant whose elements it has; None if it has no constant's."""
        way = [tensor]
        while way[-1] not in self._sources and not isinstance(way[-1], Constant):
            made = self.makers.get(way[-1])
            if made is None or made.node.domain or made.node.op not in MOVES:
                self._sources[way[-1]] = None
                break
            way.append(made.inputs[0])
        rest = () if isinstance(way[-1], Constant) else self._sources[way[-1]]
        found = None if rest is None else (*way, *rest[1:])
        self._sources[tensor] = found
        return found


@dataclass(frozen=True, eq=False)
class Call:
    """A node with its operands as they are before anything is cut, what is known of them, and where its ties go.

    inputs: constants as themselves, whatever names they reach the node by. A vector that several nodes read is another
    one in each, because it can be cut in several ways; a matrix is one.
    """

    node: Node
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    ties: Ties
    opset: int

    @property
    def sites(self) -> Sites:
        """All sites."""
        return self.ties.sites

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> Tensor:
        """The first output."""
        return self.outputs[0]

    def has(self, position: int) -> bool:
        """Whether the call has an input at this position."""
        return position < len(self.inputs) and bool(self.inputs[position].name)

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default`."""
        return self.node.attrs.get(name, default)

    def rank(self, tensor: Tensor) -> int:
        """Number of axes. Raises Untold if unknown."""
        return len(self.axes(tensor))

    def axes(self, tensor: Tensor) -> tuple[int, ...]:
        """The site of each axis. Raises Untold if the rank is unknown."""
        found = self.ties.sites.of(tensor)
        if found is None:
            raise Untold(f"the rank of {tensor.name} is not known")
        return found

    def axis(self, tensor: Tensor, name: str = "axis", default: int = 0) -> int:
        """An axis given by an attribute, counted from the front."""
        axis = int(self.attr(name, default))
        return axis + self.rank(tensor) if axis < 0 else axis

    def size(self, tensor: Tensor, axis: int) -> int:
        """A size that is known. Raises Untold if it is not."""
        dims = self.sites.shapes.dims(tensor)
        size = None if dims is None or not -len(dims) <= axis < len(dims) else dims[axis]
        if not isinstance(size, int):
            raise Untold(f"the size of {tensor.name} is not known")
        return size

    def numbers(self, position: int) -> list[int] | None:
        """The values of an integer input, if they are known."""
        known = self.sites.shapes.known(self.inputs[position]) if self.has(position) else None
        return None if known is None else [int(one) for one in known.reshape(-1)]

    def weight(self, position: int) -> bool:
        """Whether an input is a constant, or one that only lies in another way."""
        return self.has(position) and self.ties.source(self.inputs[position]) is not None

    # ---- what an entry says ----

    def same(self, left: Tensor, left_axis: int, right: Tensor, right_axis: int) -> None:
        """Equal indices of the two axes belong together."""
        self.sites.tie(self.axes(left)[left_axis], self.axes(right)[right_axis])

    def pin(self, tensor: Tensor, axis: int, reason: str) -> None:
        """The axis stays as it is."""
        self.sites.pin(self.axes(tensor)[axis], reason)

    def pin_all(self, reason: str, tensors: Iterable[Tensor] | None = None) -> None:
        """All axes of these tensors, by default of all operands, stay as they are."""
        for tensor in (*self.inputs, *self.outputs) if tensors is None else tensors:
            for site in (self.sites.of(tensor) or ()) if tensor.name else ():
                self.sites.pin(site, reason)

    def own(self, size: int) -> int:
        """The site of the node's own, with `size` indices."""
        site = self.ties.inner[self.node] = self.sites.inner(self.node, size)
        return site

    def role(self, position: int, axis: int, role: Role) -> None:
        """What a constant input is to the atoms along an axis."""
        self.ties.roles[self.node, position, axis] = role

    def letters(self, text: str, why: str = "{op} works along it") -> None:
        """Say all of it: names for the axes of the inputs, `->`, names for those of the outputs.

        An omitted or surplus operand is passed over. `_` is an axis that stays; `*` all axes of the middle, which stay.
        why: the reason for these.
        """
        operands = (*self.inputs, *self.outputs)
        axes = [self.axes(tensor) if tensor.name else () for tensor in operands]
        ranks = tuple(len(own) if tensor.name else None for own, tensor in zip(axes, operands, strict=True))
        said = read(text, ranks[: len(self.inputs)], ranks[len(self.inputs) :])

        def sites(places: Iterable[Place]) -> list[int]:
            found = (axes[operand][axis] for operand, axis in places)
            return [site for site in found if site != ONE]

        reason = why.format(op=self.node.op)
        for site in sites(said.stays):
            self.sites.pin(site, reason)
        for places in said.tied:
            for left, right in itertools.pairwise(sites(places)):
                self.sites.tie(left, right)
        for places in said.summed:
            if not any(self.weight(operand) for operand, _ in places):
                for site in sites(places):
                    self.sites.pin(site, f"{self.node.op} sums over it, and both its factors are computed")
        weights = {operand for operand in range(len(self.inputs)) if self.weight(operand)}
        for (operand, axis), role in said.roles:
            if operand in weights:
                self.role(operand, axis, role)


@dataclass(frozen=True)
class Entry:
    """What the table says of an operator. ties: says what belongs together. retune: how the call changes with a cut."""

    ties: Callable[[Call], None]
    retune: Callable[[Call, Kept], Change] = lambda _call, _kept: Change()


Say = Callable[[Call], None]
TABLE: dict[str, Entry] = {}
"""Operator ("Add", "com.microsoft.FusedConv") to its entry."""


def ties(*keys: str, retune: Callable[[Call, Kept], Change] | None = None) -> Callable[[Say], Say]:
    """Enter a function for these operators."""

    def enter(function: Say) -> Say:
        TABLE.update(dict.fromkeys(keys, Entry(function) if retune is None else Entry(function, retune)))
        return function

    return enter


def spelled(text: str, *keys: str, why: str = "{op} works along it") -> None:
    """Enter operators whose ties letters say."""
    TABLE.update(dict.fromkeys(keys, Entry(lambda call: call.letters(text, why))))


def entry(node: Node) -> Entry | None:
    """What the table says of the node's operator."""
    return TABLE.get(key_of(node.op, node.domain))


def aligned(call: Call, positions: Iterable[int]) -> None:
    """Ties of broadcasting: axes are aligned at the end, and an axis with a single index stretches."""
    made = call.axes(call.y)
    for position in positions:
        if not call.has(position):
            continue
        sites = call.axes(call.inputs[position])
        for site, other in zip(sites[::-1], made[::-1], strict=False):
            if site != ONE:
                call.sites.tie(site, other)
        if call.weight(position):
            for axis in range(len(sites)):
                call.role(position, axis, Role.FOLLOWER)


def others(call: Call, left: Tensor, right: Tensor, but: Iterable[int]) -> None:
    """Ties of two tensors of one rank, axis by axis, but for these axes."""
    passed = set(but)
    for axis, (site, other) in enumerate(zip(call.axes(left), call.axes(right), strict=True)):
        if axis not in passed:
            call.sites.tie(site, other)


def index(count: int) -> Array:
    """0, 1, ..., count - 1."""
    return np.arange(count)
