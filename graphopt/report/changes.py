"""What became of the nodes of a model: which were kept, which went, and which new ones stand for them.

Nodes that graphopt made say in their metadata which rule made them from which nodes. Where nothing is said (files
before IR version 10 have no such metadata, and other tools do not write it) a new node stands for the nodes that
computed the same tensor and are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphopt.ir import walk
from graphopt.ir.edit import RULE, SOURCES
from graphopt.ir.model import Model
from graphopt.ir.types import Node
from graphopt.report.encode import to_json

SCHEMA = 1
Key = tuple[str, str, int]
"""Name and operator of a node, and how many of both came before it."""


class State(StrEnum):
    """What became of a node."""

    KEPT = "kept"
    CHANGED = "changed"
    """Of the same name and operator, with other attributes or another number of inputs."""
    FUSED = "fused"
    """New, and stands for nodes of the original."""
    ADDED = "added"
    """New, and stands for none."""
    REPLACED = "replaced"
    """Of the original; a new node stands for it."""
    REMOVED = "removed"
    """Of the original; nothing stands for it."""


@dataclass(frozen=True)
class NodeChange:
    """One node. rule: that made it, as far as its metadata tells.

    others: names of the original nodes that it stands for, or, of an original node, of those that stand for it.
    """

    state: State
    name: str
    operator: str
    rule: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """All nodes of a model, then those of the original that are gone; nodes of nested graphs too.

    counts: nodes in each state. original: the model that it is compared with.
    """

    model: str
    original: str
    counts: dict[str, int]
    nodes: tuple[NodeChange, ...]
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The record as JSON text."""
        return to_json(self)


@dataclass(frozen=True, eq=False)
class Difference:
    """What `changes` tells, by the nodes themselves. twins: the original node of each that was kept or changed."""

    of: Mapping[Node, NodeChange]
    gone: Mapping[Node, NodeChange]
    twins: Mapping[Node, Node]


def changes(model: Model, original: Model) -> tuple[Changes, Difference]:
    """What makes `model` differ from `original`, as a record and by node."""
    new, old = _by_key(model), _by_key(original)
    twins = {node: old[key] for key, node in new.items() if key in old and _rule(node) == _rule(old[key])}
    kept = set(twins.values())
    place = {node: index for index, node in enumerate(old.values())}
    named = {name_of(node): node for node in old.values()}
    makers = {tensor.name: node for node in old.values() for tensor in node.outputs if tensor.name}
    alive = {tensor.name for node in new.values() for tensor in node.outputs}
    stands: dict[Node, list[str]] = {}
    of: dict[Node, NodeChange] = {}
    for node in new.values():
        if node in twins:
            state = State.KEPT if _alike(node, twins[node]) else State.CHANGED
            of[node] = NodeChange(state, name_of(node), node.op, _rule(node))
            continue
        said = [named[name] for name in node.metadata.get(SOURCES, "").split() if name in named]
        known = said or _computed(node, makers, kept, alive)
        sources = sorted((one for one in known if one not in kept), key=place.__getitem__)
        for source in sources:
            stands.setdefault(source, []).append(name_of(node))
        others = tuple(map(name_of, sources or said))
        of[node] = NodeChange(State.FUSED if others else State.ADDED, name_of(node), node.op, _rule(node), others)
    gone = {
        node: NodeChange(
            State.REPLACED if node in stands else State.REMOVED, name_of(node), node.op, "", tuple(stands.get(node, ()))
        )
        for node in old.values()
        if node not in kept
    }
    every = (*of.values(), *gone.values())
    counts = Counter(one.state for one in every)
    record = Changes(
        str(model.path or model.graph.name),
        str(original.path or original.graph.name),
        {state.value: counts[state] for state in State},
        every,
    )
    return record, Difference(of, gone, twins)


def name_of(node: Node) -> str:
    """The name of a node, or of the first tensor that it computes."""
    return node.name or next((tensor.name for tensor in node.outputs if tensor.name), "")


def _by_key(model: Model) -> dict[Key, Node]:
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[Key, Node] = {}
    for node in walk.nodes(model.graph):
        short = (name_of(node), f"{node.domain}::{node.op}")
        found[*short, seen[short]] = node
        seen[short] += 1
    return found


def _rule(node: Node) -> str:
    return str(node.metadata.get(RULE, ""))


def _alike(node: Node, twin: Node) -> bool:
    """Whether attributes and number of inputs are the same; what nested graphs hold is theirs to tell."""
    return len(node.inputs) == len(twin.inputs) and _plain(node) == _plain(twin)


def _plain(node: Node) -> dict[str, str]:
    return {
        name: repr(value) for name, value in node.attrs.items() if isinstance(_first(value), int | float | str | bytes)
    }


def _first(value: Any) -> Any:
    """A value, or the first one of a list."""
    return value[0] if isinstance(value, list) and value else value


def _computed(node: Node, makers: Mapping[str, Node], kept: Iterable[Node], alive: Iterable[str]) -> list[Node]:
    """The original nodes that computed the outputs of a new one, back to what is still there."""
    found: dict[Node, None] = {}
    waiting = [makers[tensor.name] for tensor in node.outputs if tensor.name in makers]
    while waiting:
        source = waiting.pop()
        if source in found or source in kept or source.op == "Constant":
            continue
        found[source] = None
        inputs = (tensor.name for tensor in source.inputs if tensor.name not in alive)
        waiting += [makers[name] for name in inputs if name in makers]
    return list(found)[::-1]
