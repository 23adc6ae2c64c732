"""Which calls of a region change their layout: the cheapest assignment, in parts that each pay for themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from graphopt.analysis.shapes import Shapes
from graphopt.ir.edit import Editor
from graphopt.ir.types import Node, Tensor
from passes.layout.cut import Value, cheapest
from passes.layout.region import Region, permutation

CALL = 4096
"""What a Transpose costs besides its bytes, in bytes moved."""


@dataclass(frozen=True)
class Price:
    """Transposes, and bytes that they move at each binding of the free dimensions."""

    count: int
    moved: tuple[int, ...]

    def better(self, other: Price) -> bool:
        """Whether nothing is more and something less than in `other`."""
        pairs = [(self.count, other.count), *zip(self.moved, other.moved, strict=True)]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


class Use(NamedTuple):
    """A value of a region: the tensor that it is made as, and who needs it, calls of the region or a fixed layout."""

    root: Tensor
    maker: Node | int
    users: tuple[Node | int, ...]
    views: tuple[Tensor, ...]


class Plan:
    """A region with what its values weigh, at each binding of the free dimensions.

    Raises ValueError with the reason where a size is not known.
    """

    def __init__(self, region: Region, editor: Editor, bound: list[Shapes]) -> None:
        self.region, self.editor = region, editor
        self.uses: dict[Tensor, Use] = {use.root: use for use in self._values()}
        self.bytes = {root: tuple(_bytes(root, shapes) for shapes in bound) for root in self.uses}
        self.own: dict[Node | int, int] = {0: 0, 1: 1, **{node: held.own for node, held in region.members.items()}}

    def _values(self) -> Iterator[Use]:
        """The values of the region that differ between the layouts."""
        region = self.region
        views: dict[Tensor, list[Tensor]] = {}
        for tensor, (first, second) in region.layouts.items():
            if first != second:
                views.setdefault(region.root(tensor), []).append(tensor)
        for root, seen in views.items():
            maker = root.producer
            users: dict[Node | int, None] = {}
            for view in seen:
                users.update((user, None) for user in self.users(view))
            made = maker if maker is not None and maker in region.members else region.now(root)
            yield Use(root, made, tuple(users), tuple(seen))

    def users(self, view: Tensor) -> list[Node | int]:
        """Who uses a view: members, and its own layout if anything else does."""
        readers = [node for node in dict.fromkeys(view.outputs) if not self.turns(node)]
        members: list[Node | int] = [node for node in readers if node in self.region.members]
        fixed = len(members) < len(readers) or self.editor.is_output(view)
        return [*members, self.region.now(view)] if fixed else members

    def turns(self, node: Node) -> bool:
        """Whether a reader is a Transpose, which can read either layout: what it does is spelled accordingly."""
        return permutation(node, 0) is not None and self.editor.home.get(node) is self.region.graph

    def best(self) -> dict[Node | int, int]:
        """The cheapest label for each member."""
        values: list[Value[Node]] = [
            Value(use.maker, use.users, CALL + max(self.bytes[root])) for root, use in self.uses.items() if use.users
        ]
        return cheapest(list(self.region.members), values, dict(self._slow(0)))

    def _slow(self, binding: int) -> Iterator[tuple[Node, tuple[float, float]]]:
        """What members move by themselves in both layouts: their operand, there and back."""
        for node, held in self.region.members.items():
            if any(held.slow):
                root = self.region.root(node.inputs[0])
                moved = [2 * self.bytes[root][binding] * slow for slow in held.slow] if root in self.bytes else [0, 0]
                now, there = moved
                yield node, (there, now) if held.own else (now, there)

    def parts(self, labels: Mapping[Node | int, int]) -> Iterator[list[Node]]:
        """The members that change, in groups that share no value, each of which pays for itself."""
        changed = {node: node for node in self.region.members if labels[node] != self.own[node]}
        for use in self.uses.values():
            inside = [n for n in (use.maker, *use.users) if isinstance(n, Node) and n in changed]
            for node in inside[1:]:
                changed[_leader(changed, node)] = _leader(changed, inside[0])
        groups: dict[Node, list[Node]] = {}
        for node in changed:
            groups.setdefault(_leader(changed, node), []).append(node)
        by_group: dict[Node, list[Use]] = {}
        for use in self.uses.values():
            inside = [n for n in (use.maker, *use.users) if isinstance(n, Node) and n in changed]
            if inside:
                by_group.setdefault(_leader(changed, inside[0]), []).append(use)
        slow = [dict(self._slow(binding)) for binding in range(len(next(iter(self.bytes.values()), ())))]
        for leader, group in groups.items():
            uses = by_group.get(leader, [])
            before, after = (self._price(uses, group, held, slow) for held in (self.own, labels))
            if after.better(before):
                yield group

    def _price(
        self,
        uses: list[Use],
        group: list[Node],
        labels: Mapping[Node | int, int],
        slow: list[dict[Node, tuple[float, float]]],
    ) -> Price:
        paid = [use.root for use in uses if any(labels[user] != labels[use.maker] for user in use.users)]
        moved = [
            sum(self.bytes[root][at] for root in paid) + sum(held[n][labels[n]] for n in group if n in held)
            for at, held in enumerate(slow)
        ]
        return Price(len(paid), tuple(map(int, moved)))


def _leader(leaders: dict[Node, Node], node: Node) -> Node:
    while leaders[node] is not node:
        leaders[node] = leaders[leaders[node]]
        node = leaders[node]
    return node


def _bytes(tensor: Tensor, shapes: Shapes) -> int:
    shape, dtype = shapes.static(tensor), shapes.dtype(tensor)
    if shape is None or dtype is None:
        raise ValueError(f"the size of {tensor.name} is not known")
    return math.prod(shape) * dtype.itemsize
