"""Recurrent layers that start from zeros, as they do without being told."""

from __future__ import annotations

from graphopt.ir import values, walk
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Constant, Node, Tensor, Variable
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context

RULE = "zero_state"
STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}
"""Operators to the positions of their initial states."""
KEEPS_ZEROS = frozenset({
    "Cast", "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile",
    "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators whose result is zero if their data are: the first input, all inputs of Concat."""
MOST_BYTES = 1 << 20
"""Larger constants are not looked at."""
MOST_NODES = 64


def zero_state(context: Context) -> None:
    """An initial state of a recurrent layer that is zero is left out."""
    context.editor.flush()
    for node in list(walk.nodes(context.editor.graph)):
        if node.op not in STATES or node.domain:
            continue
        zeros = {at: chain for at in STATES[node.op] if (chain := _zeros(node, at)) is not None}
        if zeros:
            _without(context, node, zeros)


def _without(context: Context, node: Node, zeros: dict[int, list[Node | Constant]]) -> None:
    inputs: list[Tensor] = [Variable.empty() if at in zeros else tensor for at, tensor in enumerate(node.inputs)]
    while not inputs[-1].name:
        inputs.pop()
    made = {old: Variable(UNNAMED) for old in node.outputs if old.name}
    outputs = [made[old] if old in made else Variable.empty() for old in node.outputs]
    draft = Draft(node.op, inputs, outputs, dict(node.attrs), node.domain, node.name)
    sources = dict.fromkeys(source for chain in zeros.values() for source in chain)
    before = (node, *(source for source in sources if isinstance(source, Node)))
    reads = frozenset(source for source in sources if isinstance(source, Constant))
    replace: dict[Tensor, Tensor] = dict(made)
    context.apply(Rewrite(context.editor.home[node], node, before, (draft,), replace, reads), RULE, Exact())


def _zeros(node: Node, at: int) -> list[Node | Constant] | None:
    """The nodes and constants that make input `at` zero; None if it is absent, or may be something else."""
    if at >= len(node.inputs) or not node.inputs[at].name:
        return None
    found: dict[Node | Constant, None] = {}
    stack = [node.inputs[at]]
    while stack:
        tensor = stack.pop()
        held = values.constant(tensor)
        if held is not None:
            if held.nbytes > MOST_BYTES or held.dtype.kind == "O" or held.values.any():
                return None
            found[held] = None
            continue
        source = tensor.producer
        if source is None or source.domain or len(found) > MOST_NODES or source in found:
            return None
        found[source] = None
        if source.op in KEEPS_ZEROS:
            stack += source.inputs if source.op == "Concat" else source.inputs[:1]
        elif source.op != "ConstantOfShape" or _fills(source):
            return None
    return list(found)


def _fills(source: Node) -> bool:
    """Whether a ConstantOfShape fills with anything but zero."""
    value = source.attrs.get("value")
    return value is not None and bool(value.values.any())
