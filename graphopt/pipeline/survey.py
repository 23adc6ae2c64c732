"""What a pass could change in a model, before it changes anything: groups of things that go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Found:
    """A group of `size` things of one kind, named by the first weight that makes them.

    members: role (producer, follower, consumer) to where they lie: `weight[axis]`. pins: why they stay; empty if they
    can go.
    """

    name: str
    kind: str
    size: int
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """The groups of a model, in the order of the graph, those that can go first. note: why there are none."""

    model: str
    groups: tuple[Found, ...] = ()
    note: str = ""
