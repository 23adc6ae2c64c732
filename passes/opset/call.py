"""A node on its way from one opset to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.errors import UsageError
from graphopt.ir.edit import UNNAMED, Draft
from graphopt.ir.types import Array, Constant, Node, Shape, Tensor, Variable
from graphopt.ir.values import constant


class Call:
    """What adapters change: the operator, its inputs and attributes, and what else is needed around it.

    inputs: omitted ones have an empty name. outputs: the node's own; the last of `drafts` computes new ones for them.
    """

    def __init__(self, node: Node, inputs: Sequence[Tensor], shapes: Shapes) -> None:
        self.node, self.shapes = node, shapes
        self.op, self.inputs, self.attrs = node.op, list(inputs), dict(node.attrs)
        self.outputs = list(node.outputs)
        self.result: Tensor | None = None
        self._before: list[Draft] = []
        self._after: list[Draft] = []

    # ---- what is known ----

    def refuse(self, reason: str) -> NoReturn:
        """This node cannot be raised, for the stated reason."""
        raise UsageError(f"opset: {self.node!r} cannot be raised: {reason}")

    def has(self, at: int) -> bool:
        """Whether there is an input at this position."""
        return len(self.inputs) > at and bool(self.inputs[at].name)

    def shape(self, at: int = 0) -> Shape:
        """The shape of an input. Refuses if its rank is unknown."""
        shape = self.shapes.shape(self.inputs[at])
        if shape is None:
            self.refuse(f"the number of axes of {self.inputs[at].name!r} is unknown")
        return shape

    def dtype(self, at: int = 0) -> np.dtype[Any]:
        """The element type of an input. Refuses if it is unknown."""
        dtype = self.shapes.dtype(self.inputs[at])
        if dtype is None:
            self.refuse(f"the type of {self.inputs[at].name!r} is unknown")
        return dtype

    def values(self, at: int) -> Array:
        """The values of a constant input. Refuses if it is none."""
        held = constant(self.inputs[at])
        if held is None:
            self.refuse(f"{self.inputs[at].name!r} is not a constant")
        return held.values

    def used(self, output: int) -> bool:
        """Whether there is an output at this position that may be read."""
        outputs = self.node.outputs
        return len(outputs) > output and bool(outputs[output].name)

    # ---- changes ----

    def put(self, at: int, operand: Array | Tensor) -> None:
        """Make this the input at a position; those before it that are missing are omitted ones."""
        while len(self.inputs) <= at:
            self.inputs.append(Variable.empty())
        self.inputs[at] = Constant(UNNAMED, operand) if isinstance(operand, np.ndarray) else operand

    def move(self, name: str, at: int, dtype: Any = np.int64) -> None:
        """An attribute becomes an input, if it is there."""
        value = self.attrs.pop(name, None)
        if value is not None:
            self.put(at, np.array(value, dtype))

    def prepare(self, at: int, op: str, *inputs: Array | Tensor, **attrs: Any) -> None:
        """Pass an input through another operator first."""
        self.inputs[at] = self._add(self._before, op, (self.inputs[at], *inputs), attrs)

    def prepared(self, op: str, *inputs: Array | Tensor, **attrs: Any) -> Tensor:
        """The output of another operator that runs before."""
        return self._add(self._before, op, inputs, attrs)

    def finish(self, op: str, *inputs: Array | Tensor, **attrs: Any) -> None:
        """Pass the only output through another operator afterwards."""
        made = Variable(UNNAMED) if self.result is None else self.result
        self.result = self._add(self._after, op, (made, *inputs), attrs)
        self.outputs = [made]

    @staticmethod
    def _add(drafts: list[Draft], op: str, inputs: Sequence[Array | Tensor], attrs: dict[str, Any]) -> Variable:
        tensors = [Constant(UNNAMED, one) if isinstance(one, np.ndarray) else one for one in inputs]
        made = Variable(UNNAMED)
        drafts.append(Draft(op, tensors, [made], attrs))
        return made

    # ---- the result ----

    @property
    def changed(self) -> bool:
        """Whether the node is spelled differently now."""
        node = self.node
        same = self.op == node.op and self.attrs == node.attrs and len(self.inputs) == len(node.inputs)
        same = same and all(a is b for a, b in zip(self.inputs, node.inputs, strict=True))
        return not same or len(self.outputs) != len(node.outputs) or self.result is not None

    def drafts(self) -> tuple[tuple[Draft, ...], dict[Tensor, Tensor]]:
        """The new nodes in order, and which of their tensors stands for which output of the node."""
        made = [Variable(UNNAMED) if tensor.name else Variable.empty() for tensor in self.outputs]
        if self.result is not None:
            made = [self.outputs[0]]
        node = self.node
        draft = Draft(self.op, self.inputs, made, self.attrs, "", node.name, node.overload, node.doc_string)
        results = made if self.result is None else [self.result]
        replace = {old: new for old, new in zip(node.outputs, results, strict=False) if old.name}
        return (*self._before, draft, *self._after), replace
