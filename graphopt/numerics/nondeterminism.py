"""Which calls give other numbers every time they run, so that no two runs can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.ir.types import Graph, Variable
from graphopt.ir.values import constant

if TYPE_CHECKING:
    from graphopt.ir.edit import Draft
    from graphopt.ir.types import Node, Tensor

_RANDOM = frozenset(
    {
        ("", "Bernoulli"),
        ("", "Multinomial"),
        ("", "RandomNormal"),
        ("", "RandomNormalLike"),
        ("", "RandomUniform"),
        ("", "RandomUniformLike"),
        ("com.microsoft", "Sampling"),
    }
)
_TRAINING_FLAG = {
    ("", "Dropout"): 2,
    ("com.microsoft", "BiasDropout"): 4,
    ("com.microsoft", "BitmaskBiasDropout"): 4,
    ("com.microsoft", "BitmaskDropout"): 2,
}
"""Dropouts, with the position of the input that switches them on."""


def nondeterministic(call: Node | Draft) -> bool:
    """Whether `call` draws random numbers, or a call in its subgraphs does.

    A seed attribute changes nothing: what it means is the runtime's affair. A Dropout whose training flag is
    not known counts as random.
    """
    stack: list[Node | Draft] = [call]
    while stack:
        current = stack.pop()
        if (current.domain, current.op) in _RANDOM or _drops_out(current):
            return True
        for value in current.attrs.values():
            for graph in value if isinstance(value, list) else (value,):
                if isinstance(graph, Graph):
                    stack.extend(graph.nodes)
    return False


def _drops_out(call: Node | Draft) -> bool:
    """Whether a Dropout may be in training mode: by its input, or before opset 7 by `is_test`."""
    position = _TRAINING_FLAG.get((call.domain, call.op))
    if position is None:
        return False
    if "is_test" in call.attrs:
        return not call.attrs["is_test"]
    if len(call.inputs) <= position or _omitted(call.inputs[position]):
        return False
    flag = constant(call.inputs[position])
    return flag is None or bool(flag.values.any())


def _omitted(tensor: Tensor) -> bool:
    return isinstance(tensor, Variable) and not tensor.name
