"""Models in a line: `y = Mul(x, 0.5)` with its numbers as constants of the dtype and rank that a test wants."""

from __future__ import annotations

import re
from collections.abc import Iterable

import ml_dtypes
import numpy as np

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?$")
_CALL = re.compile(r"\(([^()]*)\)")
_AXES = re.compile(r"\{([-\d ]*)\}")
_DEFINED = re.compile(r"(\w+) =")
_BITS = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
"""Dtypes whose numbers ONNX text spells by their bits."""


def spelled(
    *bodies: str, x: str = "float[n, 3, 8]", opset: int = 21, rank: int = 0, more: str = "", y: str = "", held: str = ""
) -> str:
    """The model that computes `y` from `x` and the inputs `more` as the body says; several bodies, several results.

    Numbers among the operands become constants of the dtype of `x` with one element and `rank` dimensions, `{1 2}`
    an int64 vector. `y` is the output's type, without it that of `x`. `held` are further initializers.
    """
    dtype = x.split("[", maxsplit=1)[0]
    constants = [held] if held else []

    def constant(operand: str) -> str:
        axes = _AXES.fullmatch(operand)
        if axes is None and _NUMBER.match(operand) is None:
            return operand
        name = f"number{len(constants)}"
        if axes is not None:
            numbers = axes[1].split()
            constants.append(f"int64[{len(numbers)}] {name} = {{{', '.join(numbers)}}}")
        else:
            shape = f"[{', '.join(['1'] * rank)}]" if rank else ""
            constants.append(f"{dtype}{shape} {name} = {{{_literal(float(operand), dtype)}}}")
        return name

    code = bodies[0] if len(bodies) == 1 else " ".join(_renamed(body, i) for i, body in enumerate(bodies))
    calls = _CALL.sub(lambda call: f"({', '.join(constant(part.strip()) for part in call[1].split(','))})", code)
    inputs = ", ".join(filter(None, (f"{x} x", more)))
    outputs = ["y"] if len(bodies) == 1 else [f"y{i}" for i in range(len(bodies))]
    results = ", ".join(f"{y or x} {name}" for name in outputs)
    initializers = f"<{', '.join(constants)}>" if constants else ""
    return f'<ir_version: 10, opset_import: ["" : {opset}]> g ({inputs}) => ({results}) {initializers} {{ {calls} }}'


def _renamed(body: str, number: int) -> str:
    """The body with a number after each name that it defines."""
    defined: Iterable[str] = set(_DEFINED.findall(body))
    return re.sub(rf"\b({'|'.join(sorted(defined))})\b(?!<)(?!\()", rf"\g<1>{number}", body)


def _literal(value: float, dtype: str) -> str:
    return str(np.array(value, _BITS[dtype]).view(np.uint16)) if dtype in _BITS else repr(value)
