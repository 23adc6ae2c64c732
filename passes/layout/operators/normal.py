"""Normalisations, and pooling over all of the picture."""

from __future__ import annotations

from passes.layout.axes import Axes, Call, keeping, operators
from passes.layout.operators.reducing import SUMMED
from passes.layout.orders import identity

CHANNELS = {
    "BatchNormalization": (1,), "InstanceNormalization": (0, 1), "GroupNormalization": (0, 1), "LRN": (0, 1),
    "GlobalAveragePool": (0, 1), "GlobalMaxPool": (0, 1),
}  # fmt: skip
"""The axes that must stay where they are: batch and channels; pixels may lie in any order."""


@operators(*CHANNELS)
def channelwise(call: Call) -> Axes | None:
    """Batch and channels come first."""
    rank = call.rank(call.node.inputs[0])
    if rank is None or rank <= 1 or len(call.node.outputs) > 1:
        return None
    inputs = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    return Axes(inputs, (identity(rank),), identity(rank), keeping(*CHANNELS[call.node.op]), SUMMED)


@operators("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def trailing(call: Call) -> Axes | None:
    """The axes from `axis` on are normalised together, and stay where they are."""
    rank = call.rank(call.node.inputs[0])
    if not rank or len(call.node.outputs) > 1:
        return None
    first = int(call.attr("axis", -1)) % rank
    inputs = (identity(rank), *(None,) * (len(call.node.inputs) - 1))
    return Axes(inputs, (identity(rank),), identity(rank), keeping(*range(first, rank)), SUMMED)
