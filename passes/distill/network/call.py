"""One operator call as a function of PyTorch sees it: its attributes, and numbers out of small tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from graphopt.errors import UsageError
from graphopt.ir.types import Node

Given: TypeAlias = Tensor | None
"""What an operator is given: a tensor, or None for an omitted input."""


class NotDifferentiableError(UsageError):
    """The network has something that cannot be run in PyTorch."""


@dataclass(frozen=True)
class Call:
    """node: what is called. opset: the version of its domain that the model imports. count: of its outputs."""

    node: Node
    opset: int

    def attr(self, name: str, default: Any) -> Any:
        """An attribute, or its default."""
        value = self.node.attrs.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    @property
    def count(self) -> int:
        """Number of outputs."""
        return len(self.node.outputs)

    def require(self, condition: object, reason: str) -> None:
        """Raises NotDifferentiableError, naming the node, unless the condition holds."""
        if not condition:
            raise NotDifferentiableError(f"{self.node!r}: {reason}, which cannot be run in PyTorch")


Operator = Callable[..., Any]
"""`(call, *inputs)` gives the output, or a sequence of them. Inputs are tensors, sequences of them, or None."""


def ints(tensor: Given, default: Sequence[int] = ()) -> list[int]:
    """The numbers in a one-dimensional tensor of integers; the default where it is omitted."""
    return list(default) if tensor is None else [int(value) for value in tensor.reshape(-1).tolist()]
