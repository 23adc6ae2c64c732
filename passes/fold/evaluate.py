"""Everything constant is computed now, by the reference runtime, bit for bit as a run of the model would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphopt.ir import values
from graphopt.ir.dtypes import HALVES
from graphopt.ir.types import Constant, Node, Tensor
from graphopt.numerics.contract import Close
from graphopt.numerics.failure import RunFailure
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict
from passes.fold.constants import EXACT, substitute
from passes.fold.moved import moved
from passes.fold.plan import RULE, Plan, plan
from passes.fold.runs import Held, Job

LARGE = 1 << 16
"""Constants of at least this many bytes are not copied when they are only moved."""
BATCH_BYTES = 1 << 26
"""Parts of the graph that have nothing in common are evaluated together up to this size."""
FAILURES = 32
"""Nodes that the runtime may fail on before the rest is left alone."""

ROUNDED = Close(4)
"""What is promised of a result in 16 bits that the runtime may compute in 32 bits when it is not a constant."""
EVALUATED = Verdict(Status.EVALUATED)


def evaluate(context: Context) -> None:
    """What follows from constants alone is computed by the reference runtime and becomes constant."""
    unrunnable: dict[Node, str] = {}
    while len(unrunnable) < FAILURES and not context.spent:
        failed = len(unrunnable)
        _attempt(context, plan(context, unrunnable), unrunnable)
        if len(unrunnable) == failed:
            break


def _attempt(context: Context, todo: Plan, unrunnable: dict[Node, str]) -> None:
    """Carry out a plan; nodes that fail are added to `unrunnable`, and what hangs together with them is left."""
    lazy = _moved(context, todo)
    batches = list(_batches(todo, lazy))
    for node in [node for node in todo.results if node.outputs[0] in lazy]:
        _substitute(context, node, todo, lazy)
    for nodes in batches:
        wanted = [tensor for node in nodes for tensor in todo.results.get(node, ())]
        job = Job(context, nodes, wanted, lazy)
        try:
            found = job.run()
        except RunFailure as failure:
            unrunnable.update(_unrunnable(job, failure, todo))
            continue
        for node in reversed(nodes):
            if node in todo.results:
                _substitute(context, node, todo, found)


def _substitute(context: Context, node: Node, todo: Plan, found: Mapping[Tensor, Held]) -> None:
    results = {tensor: found[tensor] for tensor in todo.results[node]}
    rounded = any(tensor in todo.rounded and held.dtype in HALVES for tensor, held in results.items())
    substitute(context, node, results, RULE, EVALUATED, ROUNDED if rounded else EXACT)


def _unrunnable(job: Job, failure: RunFailure, todo: Plan) -> dict[Node, str]:
    """The node that fails, and all that the runtime has no kernel for if that is why."""
    culprit = job.first_failing()

    def signature(node: Node) -> tuple[object, ...]:
        return node.op, node.domain, *(job.context.shapes.dtype(tensor) for tensor in node.inputs if tensor.name)

    missing = failure.kind == "unsupported"
    alike = [node for node in todo.nodes if missing and node.inputs and signature(node) == signature(culprit)]
    return dict.fromkeys((culprit, *alike), f"the runtime cannot evaluate it: {failure.reason}")


def _moved(context: Context, todo: Plan) -> dict[Tensor, Held]:
    """The results of nodes that only move large weights, unread."""
    lazy: dict[Tensor, Held] = {}
    for node in todo.nodes:
        first = node.inputs[0] if node.inputs else None
        constant = None if first is None else values.constant(first)
        data = lazy.get(first) if constant is None and first is not None else constant and constant.stored
        result = moved(node, data, context.shapes) if data is not None and data.nbytes >= LARGE else None
        if result is not None:
            lazy[node.outputs[0]] = result
    return lazy


def _batches(todo: Plan, lazy: dict[Tensor, Held]) -> Iterator[list[Node]]:
    """The nodes to run, in groups that depend on nothing but constants, small groups together."""
    batch: list[Node] = []
    size = 0
    for group in _groups([node for node in todo.nodes if node.outputs[0] not in lazy]):
        bytes_ = sum(todo.sizes[tensor] for node in group for tensor in node.outputs if tensor.name)
        bytes_ += sum(
            t.nbytes for t in dict.fromkeys(t for node in group for t in node.inputs) if isinstance(t, Constant)
        )
        if batch and size + bytes_ > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch += group
        size += bytes_
    if batch:
        yield batch


def _groups(nodes: list[Node]) -> list[list[Node]]:
    """The connected parts of a list of nodes, each in the order of the list."""
    leader: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node in nodes:
        leader[node] = node
        for tensor in node.inputs:
            producer = tensor.producer
            if producer is not None and producer in leader:
                leader[find(producer)] = find(node)
    groups: dict[Node, list[Node]] = {}
    for node in nodes:
        groups.setdefault(find(node), []).append(node)
    return list(groups.values())
