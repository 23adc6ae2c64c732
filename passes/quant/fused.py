"""The float model as schemes want it that quantise its products: new enough, with everything fused that can be."""

from __future__ import annotations

from graphopt.pipeline.context import Context
from passes.algebra import ALGEBRA
from passes.attention import ATTENTION
from passes.blocks import BLOCKS
from passes.canonical import CANONICAL
from passes.clean import CLEAN
from passes.fold import FOLD
from passes.fuse import FUSE
from passes.layout import LAYOUT
from passes.positions import POSITIONS
from passes.quant.prepare import MOST_ROUNDS, raise_opset

SINCE = 11
"""The opset that has DynamicQuantizeLinear and MatMulInteger."""
SIMPLE = (CANONICAL, FOLD, FUSE, CLEAN)
STAGES = ((CLEAN,), SIMPLE, (POSITIONS, ATTENTION), (LAYOUT, ALGEBRA, *SIMPLE), (BLOCKS, CLEAN))
"""What is run until it changes nothing, one after the other: the default pipeline."""


def prepare(context: Context, opset: int = SINCE) -> None:
    """Raise the opset and fuse. Raises UsageError for a model that cannot be raised."""
    raise_opset(context, opset)
    for stage in STAGES:
        for _ in range(MOST_ROUNDS):
            revision = context.editor.revision
            for one in stage:
                one.run(context, {})
                context.begin(context.step)
            if context.editor.revision == revision:
                break
