"""What is known of a tensor's values without running anything."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphopt.ir.types import Array, Constant, Node, Tensor

_INLINE = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def given(node: Node, at: int) -> Tensor | None:
    """Input `at` of a node; None where it is left out."""
    return node.inputs[at] if len(node.inputs) > at and node.inputs[at].name else None


def constant(tensor: Tensor) -> Constant | None:
    """The Constant behind `tensor`: itself, or the value of the `Constant` node that produces it."""
    if isinstance(tensor, Constant):
        return tensor
    node = tensor.producer
    if node is None or node.op != "Constant" or node.domain:
        return None
    return constant_of_node(node.attrs)


def constant_of_node(attrs: dict[str, Any]) -> Constant | None:
    """The value of a `Constant` node by its attributes; None for sparse and referenced values."""
    for name, value in attrs.items():
        if name == "value" and isinstance(value, Constant):
            return value
        if name in _INLINE and isinstance(value, int | float | list):
            return Constant("", np.array(value, _INLINE[name]))
        if name in ("value_string", "value_strings") and isinstance(value, str | bytes | list):
            return Constant("", np.array(value, object))
    return None


def scalar(tensor: Tensor) -> float | None:
    """The number in a constant with exactly one element; None for anything else, and for complex numbers."""
    held = constant(tensor)
    if held is None or held.size != 1 or held.dtype.kind in "Oc":
        return None
    try:
        return float(held.values.reshape(())[()])
    except (TypeError, ValueError):
        return None


def same(a: Tensor, b: Tensor, limit: int = 1024) -> bool:
    """Whether two tensors are certainly equal: one object, or constants of at most `limit` equal elements."""
    if a is b:
        return True
    left, right = constant(a), constant(b)
    if left is None or right is None or left.size > limit:
        return False
    return left.dtype == right.dtype and left.shape == right.shape and identical(left.values, right.values)


def identical(a: Array, b: Array) -> bool:
    """Bit-identical arrays (NaN equals the same NaN, 0.0 differs from -0.0); shapes and dtypes are given equal."""
    if a.dtype.kind == "O":
        return bool(np.array_equal(a, b))
    return a.tobytes() == b.tobytes()
