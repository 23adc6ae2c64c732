"""Embeddings: lookups in tables, positions, and the token before a sequence."""

from __future__ import annotations

from passes.blocks.embedding.class_token import class_token
from passes.blocks.embedding.positions import row_in_table, sliced_table
from passes.blocks.embedding.shifted import converted_lookup, shifted_lookup

RULES = (class_token, sliced_table, row_in_table, shifted_lookup, converted_lookup)

__all__ = [
    "RULES",
    "class_token",
    "converted_lookup",
    "row_in_table",
    "shifted_lookup",
    "sliced_table",
]
