"""Nodes made anew with other constants and attributes, between the same boundary; names stay what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Array, Constant, Node, Tensor, Variable
from passes.prune.leaf import handing, leaf
from passes.prune.ties import FOLLOWS, Change

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes
    from graphopt.numerics.contract import Contract
    from graphopt.pipeline.context import Context
    from graphopt.pipeline.journal import Verdict
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
    evidence: Verdict | None = None,
) -> bool:
    """Replace nodes (named as they were before any cut) by ones with other constants. Whether that was let through."""
    chosen = dict.fromkeys(grouping.now.get(node, node) for node in nodes)
    order = in_order([*chosen, *_between(chosen, grouping.shapes)])
    builder = _Builder(context, grouping, order)
    for today in order:
        node = grouping.was.get(today, today)
        builder.add(node, values.get(node, {}), (changes or {}).get(node, Change()))
    made = context.apply(builder.rewrite(), rule, numerics, evidence)
    if made is None:
        return False
    new = dict(zip(builder.after, made, strict=True))
    grouping.renamed({node: new[draft] for node, draft in builder.draft.items()})
    return True


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """The nodes, each behind those of them that it reads from."""
    inside = dict.fromkeys(nodes)
    found: dict[Node, None] = {}
    stack = [(node, False) for node in reversed(list(inside))]
    while stack:
        node, entered = stack.pop()
        if entered:
            found.setdefault(node)
        elif node not in found:
            stack.append((node, True))
            makers = (tensor.producer for tensor in node.inputs)
            stack += [(maker, False) for maker in makers if maker in inside and maker not in found]
    return list(found)


def _between(nodes: Mapping[Node, None], shapes: Shapes) -> list[Node]:
    """The nodes by which integers go from some of these nodes to others: sizes that are read, and used as a target."""
    way: dict[Node, None] = {}
    stack = [maker for node in nodes for maker in _makers(node, shapes) if maker not in nodes]
    while stack:
        node = stack.pop()
        if node not in way:
            way[node] = None
            stack += [maker for maker in _makers(node, shapes) if maker not in nodes]
    reached: set[Node] = set(nodes)
    for node in in_order(way):
        if any(tensor.producer in reached for tensor in node.inputs):
            reached.add(node)
    return [node for node in way if node in reached]


def _makers(node: Node, shapes: Shapes) -> list[Node]:
    """The nodes that make those inputs of a node that are no data, but sizes and the like."""
    makers = [(tensor, tensor.producer) for tensor in node.inputs]
    return [maker for tensor, maker in makers if maker is not None and _known(tensor, shapes)]


def _known(tensor: Tensor, shapes: Shapes) -> bool:
    dtype = shapes.dtype(tensor)
    return shapes.value(tensor) is not None or (dtype is not None and np.dtype(dtype).kind in "iub")


class _Builder:
    """One rewrite in the making."""

    def __init__(self, context: Context, grouping: Grouping, nodes: list[Node]) -> None:
        self.editor = context.editor
        self.grouping = grouping
        self.inside = set(nodes)
        self.before: dict[Node, None] = dict.fromkeys(nodes)
        self.after: list[Draft] = []
        self.draft: dict[Node, Draft] = {}
        self.fresh: dict[Tensor, Variable] = {}
        self.constants: dict[Tensor, list[Constant]] = {}
        self.replace: dict[Tensor, Tensor] = {}

    def rewrite(self) -> Rewrite:
        """The rewrite, of all nodes that were added."""
        root = next(iter(self.before))
        held = [leaf(tensor) for node in self.before for tensor in node.inputs]
        reads = frozenset(one for one in held if one is not None)
        graph = self.editor.home[root]
        return Rewrite(graph, root, tuple(self.before), tuple(self.after), self.replace, reads, unsorted=True)

    def add(self, node: Node, values: Mapping[int, Array], change: Change) -> None:
        """A node as it is today, with other values for some constants."""
        today = self.grouping.now.get(node, node)
        if change.value is not None:
            self._as_before(node, today, change.value)
            return
        inputs: list[Tensor] = [self.fresh.get(tensor, tensor) for tensor in today.inputs]
        for position, array in values.items():
            inputs[position] = self._constant(today.inputs[position], array)
        for position, target in change.inputs.items():
            inputs += [Variable.empty()] * (position + 1 - len(inputs))
            inputs[position] = self._target(node, position, target, inputs[position])
        attrs = {name: value for name, value in {**today.attrs, **change.attrs}.items() if value is not None}
        outputs = [self._output(tensor) for tensor in today.outputs]
        self._add(node, today, inputs, outputs, attrs)

    def _add(
        self, node: Node, today: Node, inputs: list[Tensor], outputs: list[Variable], attrs: dict[str, Any]
    ) -> None:
        said = (today.domain, today.name, today.overload, today.doc_string, today.metadata)
        self.draft[node] = Draft(today.op, inputs, outputs, attrs, *said)
        self.after.append(self.draft[node])

    def _as_before(self, node: Node, today: Node, value: Array) -> None:
        """A node that tells what it told before the cut."""
        made = self._output(today.outputs[0])
        if (value != FOLLOWS).all():
            self.draft[node] = Draft("Constant", [], [made], {"value": Constant("", value)}, name=today.name)
            self.after.append(self.draft[node])
            return
        told = Variable(UNNAMED, value.dtype)
        self._add(node, today, [self.fresh.get(tensor, tensor) for tensor in today.inputs], [told], today.attrs)
        self._where(value, told, made)

    def _where(self, wanted: Array, today: Tensor, made: Variable) -> None:
        """What is wanted, but for the elements that follow what is there today."""
        inputs: list[Tensor] = [Constant(UNNAMED, wanted == FOLLOWS), today, Constant(UNNAMED, wanted)]
        self.after.append(Draft("Where", inputs, [made]))

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
        alike = self.constants.setdefault(tensor, [])
        for made in alike:
            if made.shape == array.shape and np.array_equal(made.values, array):
                return made
        held = leaf(tensor)
        if held is None:
            raise LookupError(f"{tensor.name} is not constant")
        made = held.copy()
        made.values, made.info = array, None
        shared = alike or any(reader not in self.inside for reader in tensor.outputs)
        made.name = UNNAMED if shared else tensor.name
        alike.append(made)
        self.before.update(dict.fromkeys(handing(tensor)))
        return made

    def _target(self, node: Node, position: int, target: Array, today: Tensor) -> Tensor:
        """An integer input with some elements changed."""
        follows = target == FOLLOWS
        operand = self.grouping.calls[node].inputs[position] if today.name else None
        if operand is not None:
            target = target.astype(self.grouping.shapes.dtype(operand))
        known = self.grouping.shapes.integers(operand) if operand is not None else None
        elements = () if known is None else known.elements
        numbers = [element for element in elements if isinstance(element, int)]
        if not follows.any():
            return Constant(UNNAMED, target)
        if len(numbers) == len(elements) == len(target):
            return Constant(UNNAMED, np.where(follows, np.array(numbers, target.dtype), target))
        chosen = Variable(UNNAMED, target.dtype)
        self._where(target, today, chosen)
        return chosen
