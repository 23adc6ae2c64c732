"""Positions, masks and lookups that are known although they are computed."""

from graphopt.pipeline.passes import rule_pass
from passes.fold.evaluate import evaluate
from passes.positions.broadcast import leading_axes
from passes.positions.class_token import class_token
from passes.positions.dimension import one_dimension
from passes.positions.grid import grid_of_counters, grid_of_indices
from passes.positions.lookup import constant_lookup, repeated_lookup
from passes.positions.mask import decided_and, decided_mask
from passes.positions.narrow import repeated_constant
from passes.positions.operand import uniform_operand
from passes.positions.relative import bucketed_lookup
from passes.positions.roll import rolled
from passes.positions.shifted import converted_lookup, shifted_lookup
from passes.positions.table import counted_table, row_in_table, sliced_table

__all__ = [
    "POSITIONS",
    "RULES",
    "bucketed_lookup",
    "class_token",
    "constant_lookup",
    "converted_lookup",
    "counted_table",
    "decided_and",
    "decided_mask",
    "grid_of_counters",
    "grid_of_indices",
    "leading_axes",
    "one_dimension",
    "repeated_constant",
    "repeated_lookup",
    "rolled",
    "row_in_table",
    "shifted_lookup",
    "sliced_table",
    "uniform_operand",
]

RULES = (
    grid_of_indices,
    grid_of_counters,
    constant_lookup,
    repeated_lookup,
    decided_and,
    decided_mask,
    repeated_constant,
    uniform_operand,
    one_dimension,
    rolled,
    class_token,
    sliced_table,
    counted_table,
    row_in_table,
    shifted_lookup,
    converted_lookup,
    bucketed_lookup,
)

POSITIONS = rule_pass(
    "positions",
    """Simplify positions, masks and lookups.

    What is known although it is computed goes; what is added to embeddings goes into their tables. Nothing but ai.onnx.
    """,
    RULES,
    finish=evaluate,
    late=(leading_axes,),
)
