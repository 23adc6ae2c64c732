"""Positions, masks and lookups that are known although they are computed."""

from __future__ import annotations

from passes.blocks.known.dimension import one_dimension
from passes.blocks.known.grid import grid_of_counters, grid_of_indices
from passes.blocks.known.lookup import constant_lookup
from passes.blocks.known.mask import decided_and, decided_mask
from passes.blocks.known.narrow import repeated_constant
from passes.blocks.known.roll import rolled

RULES = (
    grid_of_indices, grid_of_counters, constant_lookup, decided_and, decided_mask, repeated_constant, one_dimension,
    rolled,
)  # fmt: skip

__all__ = [
    "RULES",
    "constant_lookup",
    "decided_and",
    "decided_mask",
    "grid_of_counters",
    "grid_of_indices",
    "one_dimension",
    "repeated_constant",
    "rolled",
]
