"""The driver: tries a set of rules at every node, from the outputs to the inputs, until none applies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from graphopt.analysis.inference import MALFORMED
from graphopt.errors import PassError
from graphopt.ir import walk
from graphopt.ir.dtypes import FLOATS, DType
from graphopt.ir.edit import Draft
from graphopt.ir.types import Node, Tensor
from graphopt.rewrite.index import Index
from graphopt.rewrite.match import Match, Matcher, Refused

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes
    from graphopt.ir.edit import Editor, Rewrite
    from graphopt.numerics.contract import Contract
    from graphopt.rewrite.rule import Rule
    from graphopt.target import Target

FAR = 1 << 30
"""Steps from a change of a node that is not near any."""
MANY = 64
"""Readers of a node beyond which one reader less does not concern the others."""
REWRITES_PER_NODE = 20
"""A pass that makes more rewrites than this for each node it found does not terminate."""


Moment = tuple[int, int]
"""The revision of the graph, and the one at which shapes were last worked out anew."""


@dataclass(frozen=True)
class Refusal:
    """Why a rule left a place alone. depth: how much of its pattern was there; node: where it stopped."""

    rule: str
    root: str
    node: str
    depth: int
    reason: str


class Tried(NamedTuple):
    """Where a rule need not be tried again: it was tried at every node after so many of the editor's notes.

    refused: nodes at which the rule itself declined, perhaps for what was then known of shapes, and when.
    """

    changed: int
    thinned: int
    refused: dict[Node, Moment]


class Context(Protocol):
    """What the driver needs of a compile: the model, what is known of it, and the gate every rewrite goes through."""

    editor: Editor
    shapes: Shapes
    shapes_revision: int
    target: Target
    tried: dict[tuple[Rule, int], Tried]

    def apply(self, rewrite: Rewrite, rule: str, numerics: Contract) -> list[Node] | None:
        """Check and commit a rewrite; the new nodes, or None if it was not let through."""

    def note(self, text: str) -> None:
        """Tell the user something that is neither a rewrite nor a refusal."""

    def refuse(self, refusal: Refusal) -> None:
        """Take note of a refusal."""


def rewrite_all(context: Context, rules: Sequence[Rule]) -> int:
    """Apply the rules wherever they fit, until none does. Returns the number of rewrites.

    New nodes are tried again at once, so a chain collapses in one sweep. Later sweeps, of this call and of later ones
    in the same compile, visit what is near a change. Raises PassError when the rules undo each other for ever.
    """
    editor = context.editor
    usable = [rule for rule in rules if _available(context, rule)]
    if not usable:
        return 0
    limit = REWRITES_PER_NODE * len(editor.home) + 1000
    sweeps = _Sweeps(context, usable)
    while sweeps.begin():
        while sweeps.order:
            if sweeps.visit(sweeps.order.pop()) and sweeps.hits.total() > limit:
                worst, count = sweeps.hits.most_common(1)[0]
                raise PassError(f"rule {worst} does not terminate: {count} rewrites of {len(editor.home)} nodes")
    sweeps.end()
    return sweeps.hits.total()


class _Sweeps:
    """Rules, the nodes at which they are still to be tried (`order`, the next one last), and what came of it."""

    def __init__(self, context: Context, rules: Sequence[Rule]) -> None:
        self.context, self.editor, self.rules = context, context.editor, rules
        self.hits = Counter[str]()
        self.order: list[Node] = []
        self._opset = context.editor.graph.opset
        self._matcher = Matcher(self.editor, context.shapes, target=context.target)
        self._refused: dict[Rule, dict[Node, Moment]] = {rule: {} for rule in rules}
        self._scopes: dict[Rule, _Scope] = {}
        self._made: set[Node] = set()
        self._marks = (0, 0)

    def begin(self) -> bool:
        """Get ready for a sweep: the first one over all that may be new to a rule, others over what changed since.

        Returns whether there is anything to visit.
        """
        self.editor.flush()
        if not self._scopes:
            self._scopes = self._first_scopes()
        else:
            near = self._near(*self._marks)
            declined = self._refused
            self._scopes = {rule: _Scope(near, rule.height, near.keys() & declined[rule]) for rule in self.rules}
        self._marks, self._made = (len(self.editor.changed), len(self.editor.thinned)), set()
        everywhere = any(scope.near is None for scope in self._scopes.values())
        wanted = set[Node]().union(*{id(one): one for scope in self._scopes.values() for one in scope.nodes}.values())
        if not everywhere and not wanted:
            return False
        nodes = list(walk.nodes(self.editor.graph))
        self._index = Index(self.rules, {node.op for node in nodes})
        self.order = [node for node in nodes if node in self._index and (everywhere or node in wanted)]
        return True

    def visit(self, node: Node) -> bool:
        """Make the first rewrite that goes through at `node`, if any; its new nodes are next. Whether there was one."""
        if not self.editor.alive(node):
            return False
        for rule, root in self._index.candidates(node):
            if node not in self._made and not self._scopes[rule].holds(node):
                continue
            for match in self._matcher.matches(root, node):
                rewrite = attempt(self.context, rule, match, self._refused[rule])
                if rewrite is None:
                    continue
                made = self.context.apply(rewrite, rule.name, rule.numerics)
                if made is not None:
                    self.hits[rule.name] += 1
                    self._made.update(made)
                    self.order.extend(made)
                    return True
        return False

    def end(self) -> None:
        """Take down that nothing is left to be tried."""
        for rule in self.rules:
            self.context.tried[rule, self._opset] = Tried(*self._marks, self._refused[rule])

    def _first_scopes(self) -> dict[Rule, _Scope]:
        """Where each rule is to be tried: what is near the changes since it last was, and where it declined, unless
        neither the graph nor what is known of it has changed since then."""
        scopes: dict[Rule, _Scope] = {}
        near: dict[tuple[int, int], dict[Node, int]] = {}
        now = _now(self.context)
        for rule in self.rules:
            tried = self.context.tried.get((rule, self._opset))
            if tried is None:
                scopes[rule] = _Scope(None)
                continue
            marks = (tried.changed, tried.thinned)
            if marks not in near:
                near[marks] = self._near(*marks)
            self._refused[rule] = {node: at for node, at in tried.refused.items() if at == now}
            again = tried.refused.keys() - self._refused[rule].keys()
            scopes[rule] = _Scope(near[marks], rule.height, again)
        return scopes

    def _near(self, changed: int, thinned: int) -> dict[Node, int]:
        """The nodes at which a pattern may fit that did not before the editor made its latest notes, and how high the
        pattern must be for that. Rules that declined may look farther than their pattern: to them all are new.

        A node that very many read is not new to any pattern because it lost a reader.
        """
        nodes = dict.fromkeys(self.editor.changed[changed:])
        lost = dict.fromkeys(self.editor.thinned[thinned:])
        nodes.update((n, None) for n in lost if sum(len(tensor.outputs) for tensor in n.outputs) <= MANY)
        return _downstream(filter(self.editor.alive, nodes), max(rule.height for rule in self.rules))


class _Scope(NamedTuple):
    """Where a rule is to be tried: at `near` nodes from which its pattern reaches a change, and at those in `again`.

    near: how many calls a pattern must be high to reach a change from each node; None for everywhere.
    """

    near: dict[Node, int] | None
    height: int = 0
    again: Collection[Node] = ()

    @property
    def nodes(self) -> tuple[Collection[Node], ...]:
        """All that there are, and perhaps some that are farther from a change."""
        return self.near or (), self.again

    def holds(self, node: Node) -> bool:
        """Whether the rule is to be tried at the node."""
        return self.near is None or self.near.get(node, FAR) <= self.height or node in self.again


def _now(context: Context) -> Moment:
    return context.editor.revision, context.shapes_revision


def _downstream(nodes: Iterable[Node], depth: int) -> dict[Node, int]:
    """The nodes, and those that read what they compute in up to `depth` steps; with the number of steps."""
    steps = dict.fromkeys(nodes, 0)
    frontier = list(steps)
    for step in range(1, depth + 1):
        reached: list[Node] = []
        for node in frontier:
            for tensor in node.outputs:
                reached += [reader for reader in tensor.outputs if reader not in steps]
        frontier = list(dict.fromkeys(reached))
        steps.update(dict.fromkeys(frontier, step))
    return steps


def _available(context: Context, rule: Rule) -> bool:
    opset = context.editor.graph.opset
    reason = None
    if rule.opset > opset:
        reason = f"needs opset {rule.opset}, the model has {opset}: run the pass opset:version={rule.opset} first"
    for emitted in rule.emits:
        domain, _, op = emitted.rpartition("::")
        reason = reason or context.target.spurns(op, domain)
    if reason:
        context.refuse(Refusal(rule.name, "", "", 0, reason))
    return reason is None


def attempt(context: Context, rule: Rule, match: Match, refused: dict[Node, Moment] | None = None) -> Rewrite | None:
    """The rule's replacement for a match, or None, with the reason noted, where it declines.

    refused: takes the nodes at which it may decline only for what is known now, and when that was.
    """
    final = False
    try:
        rewrite = rule.rewrite(match, context.editor.home[match.root])
        reason = _lacking(rewrite, match)
    except Refused as declined:
        reason, final = str(declined), declined.final
    except MALFORMED as error:
        reason, final = f"it raised {type(error).__name__}: {error}", True
        context.note(f"rule {rule.name} left {_label(match.root)} alone: {reason}")
    if reason is None:
        return rewrite
    if refused is not None and not final:
        refused[match.root] = _now(context)
    label = _label(match.root)
    context.refuse(Refusal(rule.name, label, label, rule.size + 1, reason))
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
        deepest, fired = _Deepest(), False
        for root in roots.get(node.op, ()):
            for match in Matcher(context.editor, context.shapes, deepest.note, context.target).matches(root, node):
                fired = fired or attempt(context, rule, match) is not None
        if deepest.at is not None and not fired:
            found.append(Refusal(rule.name, _label(node), _label(deepest.at), deepest.depth, deepest.reason))
    return found


@dataclass
class _Deepest:
    """Of the mismatches that a matcher notes the one deepest inside the pattern, the first of equals."""

    depth: int = -1
    reason: str = ""
    at: Node | None = None

    def note(self, depth: int, reason: Callable[[], str], at: Node) -> None:
        if depth > self.depth:
            self.depth, self.reason, self.at = depth, reason(), at


def _label(node: Node) -> str:
    return f"{node.op} {node.name or node.outputs[0].name}"
