"""The rewrites. Each package is one pass; each rule has a file of its own."""

from __future__ import annotations

from graphopt.pipeline.passes import Pass
from passes.algebra import ALGEBRA
from passes.attention import ATTENTION
from passes.blocks import BLOCKS
from passes.canonical import CANONICAL
from passes.cast import CAST
from passes.clean import CLEAN
from passes.depth import DEPTH
from passes.distill import DISTILL
from passes.fold import FOLD
from passes.freeze import FREEZE
from passes.fuse import FUSE
from passes.layout import LAYOUT
from passes.opset import OPSET
from passes.positions import POSITIONS
from passes.prune import PRUNE
from passes.quant import QUANT
from passes.sparsify import SPARSIFY
from passes.strip import STRIP

PASSES: tuple[Pass, ...] = (
    ALGEBRA,
    ATTENTION,
    BLOCKS,
    CLEAN,
    CANONICAL,
    CAST,
    DEPTH,
    DISTILL,
    FOLD,
    FREEZE,
    FUSE,
    LAYOUT,
    OPSET,
    POSITIONS,
    PRUNE,
    QUANT,
    SPARSIFY,
    STRIP,
)
