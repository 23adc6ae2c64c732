"""The tape on which a rule writes its replacement: `new.Conv(x, w, b, strides=[1, 1])`."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from graphopt.ir.dtypes import DType
from graphopt.ir.edit import UNNAMED, Draft
from graphopt.ir.types import Array, Constant, Tensor, Variable

Operand = Tensor | Array | float | None


class Builder:
    """Collects new nodes; the graph stays as it is.

    dtype: tells the floating dtype in which the rewritten region computes. Arrays and numbers given as inputs become
        constants; float64 arrays, in which `Match` hands out weights, and numbers are converted to that dtype.

    `new.Conv(...)` is `new.node("Conv", ...)`; a call with several outputs is written with `node`.
    """

    def __init__(self, dtype: Callable[[], DType | None] = lambda: None) -> None:
        self._dtype = dtype
        self.drafts: list[Draft] = []

    def __getattr__(self, op: str) -> Callable[..., Tensor]:
        if not op[:1].isupper():
            raise AttributeError(op)
        return lambda *inputs, **attrs: self.node(op, *inputs, **attrs)

    def node(
        self,
        op: str,
        *inputs: Operand,
        domain: str = "",
        outputs: int = 1,
        omitted: Collection[int] = (),
        **attrs: Any,
    ) -> Any:
        """Add a node and return its output, or the list of its outputs if there are several.

        inputs: tensors; arrays and numbers, which become constants; None for an omitted optional input.
        omitted: positions of outputs that the node need not compute.
        attrs: the node's attributes; those that are None are left out.
        """
        tensors = [self.tensor(operand) for operand in inputs]
        while tensors and not tensors[-1].name:
            tensors.pop()
        made = [Variable.empty() if i in omitted else Variable(UNNAMED) for i in range(outputs)]
        given = {name: value for name, value in attrs.items() if value is not None}
        self.drafts.append(Draft(op, tensors, made, given, domain))
        return made[0] if outputs == 1 else made

    def tensor(self, operand: Operand) -> Tensor:
        """The operand as a tensor. Raises TypeError for a number where the region's dtype is unknown."""
        if operand is None:
            return Variable.empty()
        if isinstance(operand, Variable | Constant):
            return operand
        values = np.asarray(operand)
        if isinstance(operand, numbers.Real) or values.dtype == np.float64:
            dtype = self._dtype()
            if dtype is None:
                raise TypeError("a number needs a dtype: the region's is unknown, so pass an array")
            values = values.astype(dtype)
        return Constant(UNNAMED, values)
