"""Which rules may match at a node, told at a glance: by its operator, and by what stands directly above it.

A graph has few kinds of calls (an Add of what a MatMul computes and of a constant), so each kind is compared with the
patterns once. The matcher only ever sees the nodes, and the rules, that this leaves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from graphopt.ir.types import Constant, Node, Tensor
from graphopt.rewrite import pattern as p

if TYPE_CHECKING:
    from graphopt.rewrite.rule import Rule

ABSENT, INPUT, CONSTANT = range(3)
"""What an input is that no operator computes."""
Above = str | int
"""What an input of a call is: the operator that computes it, or one of these numbers."""
Candidates = tuple[tuple["Rule", p.Node], ...]
KNOWN = (CONSTANT, "Constant")


class Index:
    """Rules by the calls at which they may begin, larger patterns first, without those that cannot match in a graph.

    present: the operators of the graph.
    """

    def __init__(self, rules: Iterable[Rule], present: Collection[str]) -> None:
        self._by_op: dict[str, list[tuple[Rule, p.Node]]] = {}
        self._by_kind: dict[tuple[Above, ...], Candidates] = {}
        entries = [(rule, root) for rule in rules for root in rule.roots if root.required.issubset(present)]
        entries.sort(key=lambda entry: -entry[1].size)
        for rule, root in entries:
            for op in root.ops:
                self._by_op.setdefault(op, []).append((rule, root))

    def __contains__(self, node: Node) -> bool:
        return node.op in self._by_op

    def candidates(self, node: Node) -> Candidates:
        """The rules and roots that the operator of `node`, and what is directly above it, do not exclude."""
        if node.op not in self._by_op:
            return ()
        kind = (node.op, node.domain, *map(_above, node.inputs))
        found = self._by_kind.get(kind)
        if found is None:
            entries = self._by_op[node.op]
            found = tuple(entry for entry in entries if _fits(entry[1], node.domain, kind[2:]))
            self._by_kind[kind] = found
        return found


def _above(tensor: Tensor) -> Above:
    if not tensor.name:
        return ABSENT
    if isinstance(tensor, Constant):
        return CONSTANT
    producer = tensor.producer
    return INPUT if producer is None else producer.op


def _fits(call: p.Node, domain: str, above: Sequence[Above]) -> bool:
    """Whether the inputs of a call may be those of a node with these above it."""
    count = max((at + 1 for at, one in enumerate(above) if one != ABSENT), default=0)
    return call.domain == domain and any(_in_order(parts, above[:count]) for parts in call.orders(count))


def _in_order(parts: Sequence[p.Pattern], above: Sequence[Above]) -> bool:
    for at, part in enumerate(parts):
        if isinstance(part, p.Rest):
            return True
        if not _may_be(part, above[at] if at < len(above) else ABSENT):
            return False
    return len(above) <= len(parts)


def _may_be(part: p.Pattern, above: Above) -> bool:
    """Whether a part of a pattern may describe an input, as far as one can tell from what computes it."""
    if isinstance(part, p.Either):
        return any(_may_be(alternative, above) for alternative in part.alternatives)
    if isinstance(part, p.Opt):
        return above == ABSENT or _may_be(part.inner, above)
    if isinstance(part, p.Node):
        return above in part.ops
    if isinstance(part, p.Computed):
        return above not in (ABSENT, CONSTANT)
    if isinstance(part, p.Const | p.Literal):
        return above in KNOWN
    return above != ABSENT
