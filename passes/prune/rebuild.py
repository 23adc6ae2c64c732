"""Nodes made anew with other constants and attributes, between the same boundary; names stay what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Array, Constant, Node, Tensor, Variable
from graphopt.ir.values import constant
from passes.prune.ties import FOLLOWS, Change

if TYPE_CHECKING:
    from graphopt.numerics.contract import Contract
    from graphopt.pipeline.context import Context
    from passes.prune.grouping import Grouping

Values = Mapping[Node, Mapping[int, Array]]
"""Other values for constants, by the call that reads them (as it was before any cut) and the position of the input."""


def rebuild(
    context: Context,
    grouping: Grouping,
    nodes: Iterable[Node],
    rule: str,
    numerics: Contract,
    *,
    values: Values,
    changes: Mapping[Node, Change] | None = None,
) -> bool:
    """Replace nodes (named as they were before any cut) by ones with other constants. Whether that was let through."""
    chosen = set(nodes)
    order = sorted(chosen, key=grouping.order.__getitem__)
    builder = _Builder(context, grouping, order)
    for node in order:
        builder.add(node, values.get(node, {}), (changes or {}).get(node, Change()))
    made = context.apply(builder.rewrite(), rule, numerics)
    if made is None:
        return False
    new = dict(zip(builder.after, made, strict=True))
    grouping.now.update((node, new[draft]) for node, draft in builder.draft.items())
    return True


class _Builder:
    """One rewrite in the making."""

    def __init__(self, context: Context, grouping: Grouping, nodes: list[Node]) -> None:
        self.editor = context.editor
        self.grouping = grouping
        self.today = {node: grouping.now.get(node, node) for node in nodes}
        self.inside = set(self.today.values())
        self.before: dict[Node, None] = dict.fromkeys(self.today.values())
        self.after: list[Draft] = []
        self.draft: dict[Node, Draft] = {}
        self.fresh: dict[Tensor, Variable] = {}
        self.constants: dict[Tensor, Constant] = {}
        self.replace: dict[Tensor, Tensor] = {}

    def rewrite(self) -> Rewrite:
        """The rewrite, of all nodes that were added."""
        root = next(iter(self.before))
        held = [constant(tensor) for node in self.before for tensor in node.inputs]
        reads = frozenset(one for one in held if one is not None)
        graph = self.editor.home[root]
        return Rewrite(graph, root, tuple(self.before), tuple(self.after), self.replace, reads)

    def add(self, node: Node, values: Mapping[int, Array], change: Change) -> None:
        """A node as it is today, with other values for some constants."""
        today = self.today[node]
        inputs: list[Tensor] = [self.fresh.get(tensor, tensor) for tensor in today.inputs]
        for position, array in values.items():
            inputs[position] = self._constant(today.inputs[position], array)
        for position, target in change.inputs.items():
            inputs += [Variable.empty()] * (position + 1 - len(inputs))
            inputs[position] = self._target(node, position, target, inputs[position])
        attrs = {name: value for name, value in {**today.attrs, **change.attrs}.items() if value is not None}
        outputs = [self._output(tensor) for tensor in today.outputs]
        self.draft[node] = Draft(
            today.op, inputs, outputs, attrs, today.domain, today.name, today.overload, today.doc_string, today.metadata
        )
        self.after.append(self.draft[node])

    def _output(self, tensor: Tensor) -> Variable:
        """What takes the place of an output: one of the same name, or, at the boundary, what replaces it."""
        if not tensor.name:
            return Variable.empty()
        outside = self.editor.is_output(tensor) or any(reader not in self.inside for reader in tensor.outputs)
        made = Variable(UNNAMED if outside else tensor.name, tensor.dtype)
        self.fresh[tensor] = made
        if outside:
            self.replace[tensor] = made
        return made

    def _constant(self, tensor: Tensor, array: Array) -> Constant:
        """The constant behind an input, with other values."""
        made = self.constants.get(tensor)
        if made is None:
            held = constant(tensor)
            if held is None:
                raise LookupError(f"{tensor.name} is not constant")
            made = self.constants[tensor] = held.copy()
            made.values = array
            shared = any(reader not in self.inside for reader in tensor.outputs)
            made.name = UNNAMED if shared else tensor.name
            made.info = None
            if tensor.producer is not None:
                self.before = {tensor.producer: None, **self.before}
        return made

    def _target(self, node: Node, position: int, target: Array, today: Tensor) -> Tensor:
        """An integer input with some elements changed."""
        follows = target == FOLLOWS
        if not follows.any():
            return Constant(UNNAMED, target)
        known = self.grouping.shapes.integers(self.grouping.calls[node].inputs[position])
        elements = () if known is None else known.elements
        if len(elements) == len(target) and all(
            isinstance(e, int) for e, f in zip(elements, follows, strict=True) if f
        ):
            return Constant(UNNAMED, np.where(follows, [e if isinstance(e, int) else 0 for e in elements], target))
        chosen = Variable(UNNAMED, np.dtype(np.int64))
        inputs = [Constant(UNNAMED, follows), today, Constant(UNNAMED, target)]
        self.after.append(Draft("Where", inputs, [chosen]))
        return chosen
