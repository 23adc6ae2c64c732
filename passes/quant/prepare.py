"""The float model as quantisation wants it: a new enough opset, and normalisation folded into convolutions."""

from __future__ import annotations

from graphopt.errors import UsageError
from graphopt.pipeline.context import Context
from graphopt.rewrite.driver import rewrite_all
from passes.fuse import RULES as FUSIONS
from passes.opset import OPSET
from passes.quant.options import Settings

CHANNELS_SINCE = 13
"""The opset from which on QuantizeLinear and DequantizeLinear take a scale for each channel."""


def prepare(context: Context, _settings: Settings) -> None:
    """Raise the opset and fold what can be folded. Raises UsageError for a model that cannot be raised."""
    raise_opset(context, CHANNELS_SINCE)
    rewrite_all(context, FUSIONS)
    context.begin(context.step)


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
