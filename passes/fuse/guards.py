"""What the rules of this pass require before they write an operator."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx

from graphopt.ir import dtypes
from graphopt.ir.values import constant
from graphopt.rewrite import Match, Value


def takes(m: Match, x: Value, op: str, *, double: bool = False) -> None:
    """Require that `op` is defined on the dtype of `x` in the model's opset, and that a CPU runs it.

    double: whether ONNX Runtime's CPU has a float64 kernel of `op`. Raises Refused.
    """
    dtype = m.dtype(x)
    m.require(dtype in dtypes.FLOATS, f"the dtype of {m.tensor(x).name} is unknown or not floating")
    name = dtypes.name(dtype) if dtype is not None else ""
    m.require(double or dtype != np.float64, f"{op} of float64 has no kernel, or keeps only part of its precision")
    m.require(name in _element_types(op, m.opset), f"{op} is not defined on {name} at opset {m.opset}")


def pointwise(m: Match, x: Value) -> None:
    """Require that no one-element constant of the match has more dimensions than `x`: the result has the shape of `x`.

    Raises Refused.
    """
    rank = m.rank(x) or 0
    for node in m.nodes:
        for tensor in node.inputs:
            held = constant(tensor)
            broad = held is not None and len(held.shape) > rank and tensor is not m.tensor(x)
            m.require(not broad, f"the constant {tensor.name} may have more dimensions than {m.tensor(x).name}")


def broadcasts(m: Match, part: Value, x: Value) -> bool:
    """Whether `part` surely broadcasts to the shape of `x` without making it larger."""
    small, large = m.shape(part), m.shape(x)
    if small is None or large is None or len(small) > len(large):
        return False
    aligned = zip(reversed(small), reversed(large), strict=False)
    return all(a == 1 or (a is not None and a == b) for a, b in aligned)


def number(m: Match, part: Value) -> float:
    """The number that a constant with one element holds. Raises Refused for any other constant."""
    values = m.array(m.tensor(part))
    m.require(values.size == 1, f"{m.tensor(part).name} is not a single number")
    return float(values.reshape(()))


@cache
def _element_types(op: str, opset: int) -> frozenset[str]:
    """Names of the element types that the first input of `op` may have."""
    schema = onnx.defs.get_schema(op, opset)
    return frozenset(kind.removeprefix("tensor(").removesuffix(")") for kind in schema.inputs[0].types)
