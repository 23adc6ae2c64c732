"""The narrow types, and which operands of an operator may have one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np

from graphopt.ir.dtypes import DType, elem_type, name

FLOAT = np.dtype(np.float32)
MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Narrow:
    """A floating type of 16 bits. floor: the signal to noise ratio, in dB, that each operator keeps in it."""

    text: str
    dtype: DType
    floor: float

    @property
    def largest(self) -> float:
        """The greatest number."""
        known: Any = ml_dtypes
        return float(known.finfo(self.dtype).max)

    @property
    def code(self) -> int:
        """How ONNX calls it."""
        return elem_type(self.dtype)


NARROW = {
    "fp16": Narrow("fp16", np.dtype(np.float16), 40.0),
    "bf16": Narrow("bf16", np.dtype(ml_dtypes.bfloat16), 25.0),
}

BLOCKED = frozenset(
    (
        "Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConstantOfShape",
        "EyeLike", "Range", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
        "Multinomial", "Bernoulli", "Pow", "Exp", "Log", "ReduceSum", "ReduceSumSquare", "ReduceL1",
        "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "CumSum", "CumProd", "NonMaxSuppression",
        "TopK", "RoiAlign", "GridSample", "Resize", "Upsample", "LogSoftmax", "Softplus", "Reciprocal",
    )
)  # fmt: skip
"""Operators that stay float unless one asks otherwise: what they compute leaves the range of 16 bits easily, or gives
positions, for which small differences matter; and those that have a type of their own."""

MOVES = frozenset(
    (
        "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Slice", "Split", "Concat",
        "Expand", "Tile", "Gather", "GatherElements", "GatherND", "DepthToSpace", "SpaceToDepth", "Pad",
        "ScatterND", "ScatterElements",
    )
)  # fmt: skip
"""Operators that only move elements."""


@lru_cache(maxsize=4096)
def operands(op: str, domain: str, version: int, narrow: DType) -> tuple[tuple[bool, ...], tuple[bool, ...]] | None:
    """Which inputs and outputs of an operator follow one type that may be `narrow`; the last one stands for all after.

    None if there is no such type, or it is not known. Operators of com.microsoft compute all in one type.
    """
    if domain == MICROSOFT:
        return (True,), (True,)
    from onnx import defs

    try:
        schema: Any = defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return None
    spelled = f"tensor({name(narrow)})"
    able = {one.type_param_str for one in schema.type_constraints if spelled in one.allowed_type_strs}
    inputs, outputs = ([one.type_str for one in side] for side in (schema.inputs, schema.outputs))
    chosen = able & set(inputs[:1]) & set(outputs)
    if not chosen:
        return None
    return tuple(one in chosen for one in inputs), tuple(one in chosen for one in outputs)


def at(follows: tuple[bool, ...], position: int) -> bool:
    """Whether an operand follows the type."""
    return follows[min(position, len(follows) - 1)]
