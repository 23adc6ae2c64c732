"""The ways to round the weights of a product: a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphopt.ir.types import Array
from passes.quant.weight_only.awq import scaled
from passes.quant.weight_only.blocked import Blocked, Format, nearest
from passes.quant.weight_only.few import binary_scales, signs, signs_and_zeros, ternary_scales
from passes.quant.weight_only.gptq import compensated
from passes.quant.weight_only.hqq import half_quadratic
from passes.quant.weight_only.moments import Moments


@dataclass(frozen=True, eq=False)
class Rounded:
    """A matrix in blocks. worst: the largest distance of a weight in steps, where that is bounded, else None.

    factors: what rows were multiplied by, and what they are fed is to be divided by; None for nothing.
    """

    held: Blocked
    worst: float | None = None
    factors: Array | None = None


@dataclass(frozen=True)
class Method:
    """A way to round. needs_data: whether it looks at what the product is fed."""

    doc: str
    run: Callable[[Array, Format, Moments | None], Rounded]
    needs_data: bool = False


def _nearest(matrix: Array, fmt: Format, _: Moments | None) -> Rounded:
    return Rounded(*nearest(matrix, fmt))


def _hqq(matrix: Array, fmt: Format, _: Moments | None) -> Rounded:
    return Rounded(nearest(matrix, fmt, half_quadratic)[0])


def _gptq(matrix: Array, fmt: Format, fed: Moments | None) -> Rounded:
    return _hqq(matrix, fmt, None) if fed is None else Rounded(compensated(matrix, fmt, fed.gram, half_quadratic))


def _awq(matrix: Array, fmt: Format, fed: Moments | None) -> Rounded:
    if fed is None:
        return _hqq(matrix, fmt, None)
    held, factors = scaled(matrix, fmt, fed)
    return Rounded(held, None, factors)


def _binary(matrix: Array, fmt: Format, _: Moments | None) -> Rounded:
    return Rounded(nearest(matrix, fmt, binary_scales, signs)[0])


def _ternary(matrix: Array, fmt: Format, _: Moments | None) -> Rounded:
    return Rounded(nearest(matrix, fmt, ternary_scales, signs_and_zeros)[0])


FEW = {
    "binary": Method("to -s or s, where s is the mean magnitude of a block", _binary),
    "ternary": Method("to -s, 0 or s, where s is the mean magnitude of what is nearer to s than to 0", _ternary),
}
"""By the scheme of which each is the only one."""
METHODS = {
    "nearest": Method("to the nearest point, of steps from the extremes of a block", _nearest),
    "hqq": Method("to the nearest point, of steps for which few weights are far away", _hqq),
    "gptq": Method(
        "in turns, each row making good what those before it lost on the calibration data", _gptq, needs_data=True
    ),
    "awq": Method("to the nearest point, in finer steps where the calibration data feeds much", _awq, needs_data=True),
}
"""By name. What is fed nothing on the calibration data is rounded as by hqq."""
