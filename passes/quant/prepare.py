"""The float model as quantisation wants it: a new enough opset, folded, fused, in operators with integer kernels."""

from __future__ import annotations

from graphopt.errors import UsageError
from graphopt.pipeline.context import Context
from graphopt.rewrite.driver import rewrite_all
from passes.algebra import ALGEBRA
from passes.canonical import CANONICAL
from passes.clean import CLEAN
from passes.fold import FOLD
from passes.fuse import FUSE
from passes.layout import LAYOUT
from passes.opset import OPSET
from passes.quant.mean_pool import mean_pool
from passes.quant.options import Settings
from passes.quant.silu import APART
from passes.quant.unfused_conv import unfused_conv

CHANNELS_SINCE = 13
"""The opset from which on QuantizeLinear and DequantizeLinear take a scale for each channel."""
HARD_SWISH = 14
"""The opset from which on there is HardSwish: before, its operand has two readers."""
RULES = (mean_pool, unfused_conv)
FOLDING = (CLEAN, CANONICAL, FOLD, FUSE, LAYOUT, ALGEBRA)
"""What leaves the fewest operators between those with integer kernels; nothing that writes fused float operators."""
MOST_ROUNDS = 8


def prepare(context: Context, _settings: Settings) -> None:
    """Raise the opset and fold what can be folded. Raises UsageError for a model that cannot be raised."""
    raise_opset(context, CHANNELS_SINCE)
    fold(context)
    if context.model.graph.opset < HARD_SWISH and any(node.op == "HardSigmoid" for node in context.model.graph.nodes):
        raise_opset(context, HARD_SWISH)
        fold(context)
    rewrite_all(context, APART)
    context.begin(context.step)


def fold(context: Context) -> None:
    """Fold and fuse, again and again while something changes."""
    for _ in range(MOST_ROUNDS):
        revision = context.editor.revision
        for one in FOLDING:
            one.run(context, {})
            context.begin(context.step)
        rewrite_all(context, RULES)
        context.begin(context.step)
        if context.editor.revision == revision:
            return


def raise_opset(context: Context, version: int) -> None:
    """Bring the model to at least this version of ai.onnx. Raises UsageError where that is not possible."""
    if context.model.graph.opset >= version:
        return
    options = {"version": version}
    reason = OPSET.requires(context.model, options)
    if reason is not None:
        raise UsageError(f"quant needs opset {version}, and the model has {context.model.graph.opset}: {reason}")
    OPSET.run(context, options)
    context.begin(context.step)
