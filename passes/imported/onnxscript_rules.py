"""onnxscript's rewrite rules as a pass: each application is one rewrite, checked, named and undone alone.

Needs the extra `onnxscript`. The rules match on a copy of the top level of the graph; nested graphs are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from graphopt.errors import UsageError
from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Constant, Tensor
from graphopt.numerics.contract import Close, Contract
from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Options, Pass
from passes.imported.mirror import Mirror

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnxscript.rewriter import RewriteRule
    from onnxscript.rewriter._rewrite_rule import ReplacementSubgraph

DEFAULT = Close(64)
ROUNDS = 20
"""Sweeps after which the rules are taken to undo each other."""


def onnxscript_pass(
    name: str, doc: str, rules: Iterable[RewriteRule] | RewriteRule, *, numerics: Contract = DEFAULT
) -> Pass:
    """A pass that applies onnxscript's rewrite rules wherever they match, each application verified.

    rules: rules or rule sets of onnxscript. numerics: the contract that every application is checked against.
    Raises UsageError where onnxscript is not installed, or a rule makes functions.
    """
    try:
        from onnxscript.rewriter import RewriteRule
    except ImportError:
        raise UsageError("rules of onnxscript need onnxscript: pip install 'graphopt[onnxscript]'") from None
    given = [rules] if isinstance(rules, RewriteRule) else list(rules)
    chosen = {_name(rule, index): rule for index, rule in enumerate(given)}
    functions = [text for text, rule in chosen.items() if rule.as_function]
    if functions:
        raise UsageError(f"the rule {functions[0]} makes a function of its own, which is not supported")

    def run(context: Context, _: Options) -> None:
        for _round in range(ROUNDS):
            if not _sweep(context, chosen, numerics):
                return
        context.note(f"the rules of {name} still changed the model after {ROUNDS} sweeps")

    return Pass(name, run, doc)


def _name(rule: RewriteRule, index: int) -> str:
    return str(rule.name or f"rule_{index}").replace("::", ".")


def _sweep(context: Context, rules: dict[str, RewriteRule], numerics: Contract) -> bool:
    """Try every rule at every node once. Returns whether anything was changed."""
    from onnxscript.optimizer import basic_constant_propagation

    context.editor.flush()
    mirror = Mirror(context.model, context.shapes)
    graph = mirror.model.graph
    basic_constant_propagation(graph)
    _visit(rule.graph_pre_visitor for rule in rules.values())
    late: set[ir.Node] = set()
    for copy in list(mirror.nodes):
        for name, rule in rules.items():
            if copy in late or context.spent:
                break
            found = rule.try_rewrite(mirror.model, graph, copy)
            known = found is not None and late.isdisjoint(found.match.nodes)
            if found is not None and known and _apply(context, mirror, copy, found, name, numerics):
                late.update(_around(found))
    _visit(rule.graph_post_visitor for rule in rules.values())
    return bool(late)


def _visit(visitors: Iterable[Callable[[], None] | None]) -> None:
    for visitor in visitors:
        if visitor is not None:
            visitor()


def _around(found: ReplacementSubgraph) -> Iterator[ir.Node]:
    """The nodes of which the copy no longer tells the truth: they are looked at again in the next sweep."""
    yield from found.match.nodes
    for value in (*found.match.outputs, *found.new_outputs):
        producer = value.producer()
        if producer is not None:
            yield producer
        yield from (use.node for use in value.uses())


def _apply(
    context: Context, mirror: Mirror, copy: ir.Node, found: ReplacementSubgraph, name: str, numerics: Contract
) -> bool:
    """Carry out a proposal if it keeps its contract."""
    drafts, known = mirror.drafts(list(found.new_nodes), list(found.new_initializers))
    root = mirror.nodes[copy]
    before = tuple(dict.fromkeys((root, *(mirror.nodes[node] for node in found.match.nodes))))
    replace: dict[Tensor, Tensor] = {
        mirror.tensors[old]: known[new]
        for old, new in zip(found.match.outputs, found.new_outputs, strict=True)
        if old is not new
    }
    reads = frozenset(t for node in before for t in node.inputs if isinstance(t, Constant))
    made = context.apply(Rewrite(context.editor.graph, root, before, tuple(drafts), replace, reads), name, numerics)
    for domain, version in () if made is None else found.used_opsets:
        context.model.opsets.setdefault(domain, version or 1)
    return made is not None
