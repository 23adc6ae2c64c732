"""The driver: tries a set of rules at every node, from the outputs to the inputs, until none applies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from graphopt.errors import PassError
from graphopt.ir import walk
from graphopt.ir.dtypes import FLOATS, DType
from graphopt.ir.edit import Draft
from graphopt.ir.types import Node, Tensor
from graphopt.rewrite import pattern as p
from graphopt.rewrite.match import Match, Matcher, Refused

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes
    from graphopt.ir.edit import Editor, Rewrite
    from graphopt.numerics.contract import Contract
    from graphopt.rewrite.rule import Rule
    from graphopt.target import Target

MANY = 64
"""Readers of a tensor beyond which a change to one does not concern the others."""
REWRITES_PER_NODE = 20
"""A pass that makes more rewrites than this for each node it found does not terminate."""


@dataclass(frozen=True)
class Refusal:
    """Why a rule left a place alone. depth: how much of its pattern was there; node: where it stopped."""

    rule: str
    root: str
    node: str
    depth: int
    reason: str


class Context(Protocol):
    """What the driver needs of a compile: the model, what is known of it, and the gate every rewrite goes through."""

    editor: Editor
    shapes: Shapes
    target: Target

    def apply(self, rewrite: Rewrite, rule: str, numerics: Contract) -> list[Node] | None:
        """Check and commit a rewrite; the new nodes, or None if it was not let through."""

    def refuse(self, refusal: Refusal) -> None:
        """Take note of a refusal."""


class Index:
    """Rules by the operator of their root, larger patterns first, without those that cannot match in this graph."""

    def __init__(self, rules: Iterable[Rule], present: Counter[str]) -> None:
        self._by_op: dict[str, list[tuple[Rule, p.Node, frozenset[frozenset[str]]]]] = {}
        entries = [(rule, root) for rule in rules for root in rule.roots if root.required <= present.keys()]
        entries.sort(key=lambda entry: -entry[1].size)
        for rule, root in entries:
            for op in root.ops:
                self._by_op.setdefault(op, []).append((rule, root, _producers(root)))

    def candidates(self, node: Node) -> Iterable[tuple[Rule, p.Node]]:
        """The rules and roots that the operators of `node` and of its producers do not exclude."""
        entries = self._by_op.get(node.op)
        if not entries:
            return ()
        above = {producer.op for tensor in node.inputs if (producer := tensor.producer) is not None}
        return [(rule, root) for rule, root, needed in entries if all(not ops.isdisjoint(above) for ops in needed)]


def rewrite_all(context: Context, rules: Sequence[Rule]) -> int:
    """Apply the rules wherever they fit, until none does. Returns the number of rewrites.

    New nodes are tried again at once, so a chain collapses in one sweep; later sweeps visit what is near a change.
    Raises PassError when the rules undo each other for ever.
    """
    editor = context.editor
    usable = [rule for rule in rules if _available(context, rule)]
    if not usable:
        return 0
    limit, hits = REWRITES_PER_NODE * len(editor.home) + 1000, Counter[str]()
    depth = max(root.height for rule in usable for root in rule.roots)
    editor.flush()
    everything = order = list(walk.nodes(editor.graph))
    while order:
        index, changed = Index(usable, Counter(node.op for node in everything)), dict[Node, None]()
        while order:
            node = order.pop()
            made = _rewrite_at(context, index, node, hits, changed) if editor.alive(node) else ()
            order.extend(made)
            if hits.total() > limit:
                worst = hits.most_common(1)[0][0]
                raise PassError(f"rule {worst} does not terminate: {hits[worst]} rewrites of {len(editor.home)} nodes")
        if changed:
            editor.flush()
            everything = list(walk.nodes(editor.graph))
            near = _downstream((node for node in changed if editor.alive(node)), depth)
            order = [node for node in everything if node in near]
    return hits.total()


def _downstream(nodes: Iterable[Node], depth: int) -> set[Node]:
    """The nodes, and those that read what they compute in up to `depth` steps.

    A tensor with very many readers is not followed: one reader more or less changes nothing for the others.
    """
    near = set(nodes)
    frontier = list(near)
    for _ in range(depth):
        readers = [r for node in frontier for t in node.outputs if len(t.outputs) <= MANY for r in t.outputs]
        frontier = [reader for reader in dict.fromkeys(readers) if reader not in near]
        near.update(frontier)
    return near


def _available(context: Context, rule: Rule) -> bool:
    opset = context.editor.graph.opset
    reason = None
    if rule.opset > opset:
        reason = f"needs opset {rule.opset}, the model has {opset}: run the pass opset:version={rule.opset} first"
    for emitted in rule.emits:
        domain, _, op = emitted.rpartition("::")
        lacking = context.target.lacks(op, domain)
        reason = reason or (f"writes what it must not: {lacking}" if lacking else None)
    if reason:
        context.refuse(Refusal(rule.name, "", "", 0, reason))
    return reason is None


def _rewrite_at(
    context: Context, index: Index, node: Node, hits: Counter[str], changed: dict[Node, None]
) -> Sequence[Node]:
    """The first rewrite that goes through at `node`: its new nodes. `changed` collects the nodes around it."""
    for rule, root in index.candidates(node):
        for match in Matcher(context.editor, context.shapes, target=context.target).matches(root, node):
            rewrite = attempt(context, rule, match)
            if rewrite is None:
                continue
            above = [t.producer for old in rewrite.before for t in old.inputs if t.producer is not None]
            readers = [reader for tensor in rewrite.replace for reader in tensor.outputs[:MANY]]
            made = context.apply(rewrite, rule.name, rule.numerics)
            if made is not None:
                hits[rule.name] += 1
                changed.update(dict.fromkeys((*above, *made, *readers)))
                return made
    return ()


def attempt(context: Context, rule: Rule, match: Match) -> Rewrite | None:
    """The rule's replacement for a match, or None, with the reason noted, where it declines."""
    try:
        rewrite = rule.rewrite(match, context.editor.home[match.root])
        reason = _lacking(rewrite, match)
    except Refused as refused:
        reason = str(refused)
    if reason is None:
        return rewrite
    size = max(root.size for root in rule.roots) + 1
    context.refuse(Refusal(rule.name, _label(match.root), _label(match.root), size, reason))
    return None


def _lacking(rewrite: Rewrite, match: Match) -> str | None:
    """What the target lacks of the new calls, each of which computes in the first floating dtype that it reads."""
    made: dict[Tensor, DType | None] = {}
    for call in rewrite.after:
        read = [made[t] if t in made else match.dtype(t) for t in call.inputs if t.name]
        dtype = next((one for one in read if one in FLOATS), None)
        made.update(dict.fromkeys(call.outputs, dtype))
        if isinstance(call, Draft) and (reason := match.target.lacks(call.op, call.domain, dtype)):
            return reason
    return None


def near_misses(context: Context, rule: Rule) -> list[Refusal]:
    """For each node at which the rule could start but does not fire: the mismatch deepest inside the pattern."""
    if not _available(context, rule):
        return []
    found: list[Refusal] = []
    roots = {op: [root for root in rule.roots if op in root.ops] for root in rule.roots for op in root.ops}
    for node in walk.nodes(context.editor.graph):
        deepest: list[tuple[int, Callable[[], str], Node]] = []
        fired = False

        def note(depth: int, reason: Callable[[], str], at: Node, best: list[object] = deepest) -> None:  # type: ignore[assignment]
            if not best or depth > best[0][0]:  # type: ignore[index]
                best[:] = [(depth, reason(), at)]

        for root in roots.get(node.op, ()):
            for match in Matcher(context.editor, context.shapes, note, context.target).matches(root, node):
                fired = fired or attempt(context, rule, match) is not None
        if deepest and not fired:
            depth, reason, at = deepest[0]
            found.append(Refusal(rule.name, _label(node), _label(at), depth, str(reason)))
    return found


def _producers(root: p.Node) -> frozenset[frozenset[str]]:
    """For each input of the root that must be an operator call: the operators that it may be."""
    needed = set()
    for child in root.inputs:
        calls = child.alternatives if isinstance(child, p.Either) else (child,)
        if all(isinstance(call, p.Node) for call in calls):
            needed.add(frozenset(op for call in calls if isinstance(call, p.Node) for op in call.ops))
    return frozenset(needed)


def _label(node: Node) -> str:
    return f"{node.op} {node.name or node.outputs[0].name}"
