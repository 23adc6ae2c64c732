"""The cheapest assignment of two labels, by a minimum cut.

Calls choose between two labels. A value is made under the label of its maker; whoever uses it under the other label
pays its weight, once for all of them. This is a minimum cut with an auxiliary vertex for each value that has several
users (Kolmogorov and Zabih, "What energy functions can be minimized via graph cuts?", 2004), found by Dinic's method.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

PHASES = 64
"""Rounds of the search for augmenting paths; beyond this the better of the two uniform assignments is taken."""
SOURCE, SINK = 0, 1


@dataclass(frozen=True)
class Value(Generic[Key]):
    """One value. maker, users: calls whose labels are free, or 0 and 1 for labels that are fixed."""

    maker: Key | int
    users: tuple[Key | int, ...]
    weight: float


def cost(
    values: Sequence[Value[Key]], labels: Mapping[Key | int, int], unary: Mapping[Key, tuple[float, float]]
) -> float:
    """What an assignment costs."""
    paid = sum(v.weight for v in values if any(labels[user] != labels[v.maker] for user in v.users))
    return paid + sum(pair[labels[key]] for key, pair in unary.items())


def cheapest(
    keys: Sequence[Key], values: Sequence[Value[Key]], unary: Mapping[Key, tuple[float, float]]
) -> dict[Key | int, int]:
    """A label for each of `keys` (and 0 and 1 for themselves) that costs the least.

    unary: what the labels of a call cost by themselves.
    """
    uniform = [{0: 0, 1: 1, **dict.fromkeys(keys, label)} for label in (0, 1)]
    best: dict[Key | int, int] = min(uniform, key=lambda labels: cost(values, labels, unary))
    if cost(values, best, unary) == 0:
        return best
    network = _Network()
    vertices: dict[Key | int, int] = {0: SOURCE, 1: SINK, **{key: network.vertex() for key in keys}}
    for key, (zero, one) in unary.items():
        network.edge(SOURCE, vertices[key], one)
        network.edge(vertices[key], SINK, zero)
    for value in values:
        users = [vertices[user] for user in dict.fromkeys(value.users)]
        _add(network, vertices[value.maker], users, value.weight)
    if not network.saturate():
        return best
    reached = network.reachable()
    return {key: 0 if vertex in reached else 1 for key, vertex in vertices.items()}


def _add(network: _Network, maker: int, users: list[int], weight: float) -> None:
    if len(users) == 1:
        network.edge(maker, users[0], weight)
        network.edge(users[0], maker, weight)
    elif users:
        one, zero = network.vertex(), network.vertex()  # some user has label 1; some user has label 0
        network.edge(maker, one, weight)
        network.edge(zero, maker, weight)
        for user in users:
            network.edge(one, user, float("inf"))
            network.edge(user, zero, float("inf"))


class _Network:
    """Vertices by number; edges in pairs, an edge and its reverse, in arrays."""

    def __init__(self) -> None:
        self.out: list[list[int]] = [[], []]
        self.head: list[int] = []
        self.room: list[float] = []

    def vertex(self) -> int:
        """A new vertex."""
        self.out.append([])
        return len(self.out) - 1

    def edge(self, tail: int, head: int, room: float) -> None:
        """An edge of a capacity; none where it would carry nothing."""
        if tail != head and room > 0:
            for start, end, capacity in ((tail, head, room), (head, tail, 0.0)):
                self.out[start].append(len(self.head))
                self.head.append(end)
                self.room.append(capacity)

    def saturate(self) -> bool:
        """Send as much as goes through. Returns whether that was done within the number of rounds."""
        for _ in range(PHASES):
            levels = self._levels()
            if SINK not in levels:
                return True
            self._block(levels)
        return False

    def reachable(self) -> dict[int, int]:
        """The vertices on the side of the source of a minimum cut, after `saturate`."""
        return self._levels()

    def _levels(self) -> dict[int, int]:
        levels, queue = {SOURCE: 0}, deque([SOURCE])
        while queue:
            tail = queue.popleft()
            for edge in self.out[tail]:
                head = self.head[edge]
                if self.room[edge] > 0 and head not in levels:
                    levels[head] = levels[tail] + 1
                    queue.append(head)
        return levels

    def _block(self, levels: dict[int, int]) -> None:
        """Fill the shortest paths, by a walk that never tries an edge twice in vain."""
        places = dict.fromkeys(levels, 0)
        path: list[int] = []
        tail = SOURCE
        while True:
            if tail == SINK:
                tail = self._push(path)
                continue
            edge = self._next(tail, levels, places)
            if edge is not None:
                path.append(edge)
                tail = self.head[edge]
            elif path:
                tail = self.head[path.pop() ^ 1]
                places[tail] += 1
            else:
                return

    def _next(self, tail: int, levels: dict[int, int], places: dict[int, int]) -> int | None:
        edges = self.out[tail]
        while places[tail] < len(edges):
            edge = edges[places[tail]]
            if self.room[edge] > 0 and levels.get(self.head[edge]) == levels[tail] + 1:
                return edge
            places[tail] += 1
        return None

    def _push(self, path: list[int]) -> int:
        """Send what the path carries; it is cut at its first full edge, whose tail is returned."""
        amount = min(self.room[edge] for edge in path)
        for edge in path:
            self.room[edge] -= amount
            self.room[edge ^ 1] += amount
        at = next(place for place, edge in enumerate(path) if self.room[edge] <= 0)
        tail = self.head[path[at] ^ 1]
        del path[at:]
        return tail
