"""A rule: a pattern, a promise about the numbers, and one short function that writes the replacement."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Graph, Tensor
from graphopt.numerics.contract import Contract
from graphopt.rewrite.match import Match
from graphopt.rewrite.pattern import Either, Node, Pattern
from graphopt.rewrite.tape import Builder

Replacement = Tensor | Sequence[Tensor | None] | Mapping[Node | Tensor, Tensor] | Mapping[Node, Tensor] | None


@dataclass(frozen=True, eq=False)
class Rule:
    """What replaces what, and how far the numbers may move.

    name: how texts and reports call it; the function's name.
    pattern: what to look for; alternatives have the same meaning.
    apply: `(match, new) -> tensor`: the tensor that replaces the root's output; several replace its outputs in order
        (None keeps one), and a mapping other tensors, or the outputs of any calls of the pattern. It may call
        `match.require` anywhere and must not touch the graph.
    numerics: the contract that every rewrite is checked against.
    opset: the first version of ai.onnx that has the operators which the rule emits.
    emits: those of them that not every target runs ("com.microsoft::BiasGelu"): elsewhere the rule does nothing.
    """

    name: str
    pattern: Pattern
    apply: Callable[[Match, Builder], Any]
    numerics: Contract
    opset: int = 1
    emits: tuple[str, ...] = ()

    @property
    def doc(self) -> str:
        """What the rule does, from its function's docstring."""
        return inspect.getdoc(self.apply) or ""

    @cached_property
    def roots(self) -> tuple[Node, ...]:
        """The outermost calls of the pattern, one for each alternative."""
        alternatives = self.pattern.alternatives if isinstance(self.pattern, Either) else (self.pattern,)
        return tuple(call for call in alternatives if isinstance(call, Node))

    @cached_property
    def size(self) -> int:
        """Number of operator calls in the largest alternative."""
        return max(root.size for root in self.roots)

    @cached_property
    def height(self) -> int:
        """Number of operator calls on the longest way through the pattern."""
        return max(root.height for root in self.roots)

    def rewrite(self, match: Match, graph: Graph) -> Rewrite:
        """The replacement for one match. Raises `Refused` where the rule declines."""
        new = Builder(lambda: _region_dtype(match))
        pairs = _pairs(match, self.apply(match, new))
        match.require(pairs, "the rule returned nothing")
        replace = {old: value for old, value in pairs if value is not None and old.name}
        drafts = tuple(new.drafts)
        return Rewrite(graph, match.root, match.nodes, drafts, replace, frozenset(match.reads))

    def __repr__(self) -> str:
        return f"rule {self.name} ({self.numerics})"


def _pairs(match: Match, result: Replacement) -> list[tuple[Tensor, Tensor | None]]:
    """Each tensor that is replaced, and by what."""
    if isinstance(result, Mapping):
        return [(match.tensor(old) if isinstance(old, Node) else old, value) for old, value in result.items()]
    results = (result,) if isinstance(result, Tensor) else tuple(result or ())
    return list(zip(match.root.outputs, results, strict=False))


def rule(
    pattern: Pattern, *, numerics: Contract, opset: int = 1, emits: str | Sequence[str] = ()
) -> Callable[[Callable[[Match, Builder], Any]], Rule]:
    """Make a rule of the function below: its name is the rule's, its docstring says what the rule does.

    pattern: what to look for. Raises TypeError if it is not an operator call or alternatives of calls.
    numerics: the contract that every rewrite is checked against.
    opset: the first version of ai.onnx that has the operators which the rule emits.
    emits: those of them that not every target runs: `"com.microsoft::BiasGelu"`, or several.
    """
    emitted = (emits,) if isinstance(emits, str) else tuple(emits)

    def decorate(apply: Callable[[Match, Builder], Any]) -> Rule:
        made = Rule(apply.__name__, pattern, apply, numerics, opset, emitted)
        if not made.roots:
            message = f"rule {made.name}: the pattern must be an operator call"
            raise TypeError(message)
        return made

    return decorate


def _region_dtype(match: Match) -> Any:
    """The floating dtype in which the matched region computes: that of its root, else of any of its values."""
    from graphopt.ir.dtypes import FLOATS

    tensors = [*match.root.outputs, *(t for node in match.nodes for t in (*node.inputs, *node.outputs))]
    return next((dtype for t in tensors if t.name and (dtype := match.dtype(t)) in FLOATS), None)
