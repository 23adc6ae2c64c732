"""Attention: a Softmax between two products, in whatever way it is spelled, becomes one operator."""

from graphopt.pipeline.passes import rule_pass
from passes.attention.cached import cached_attention
from passes.attention.grouped import grouped_attention
from passes.attention.multi_head import multi_head_attention
from passes.attention.packed import packed_attention
from passes.attention.rotary import partial_rotary_embedding, rotary_embedding, standard_rotary_embedding
from passes.attention.standard import standard_attention

__all__ = [
    "ATTENTION",
    "RULES",
    "cached_attention",
    "grouped_attention",
    "multi_head_attention",
    "packed_attention",
    "partial_rotary_embedding",
    "rotary_embedding",
    "standard_attention",
    "standard_rotary_embedding",
]

RULES = (
    rotary_embedding,
    standard_rotary_embedding,
    partial_rotary_embedding,
    grouped_attention,
    multi_head_attention,
    cached_attention,
    packed_attention,
    standard_attention,
)

ATTENTION = rule_pass("attention", """Make attention one operator, in whatever way it is spelled.""", RULES)
