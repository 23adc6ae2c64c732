"""Activation functions without an integer kernel, as arithmetic that has one.

What an integer saturates at is a free clip, and the same integer may be read on several grids. So HardSigmoid, which is
a line between two bounds, is no computation: its operand is rounded to a grid that ends at the bounds, and the integers
are read on another grid. HardSwish is the product of its operand and HardSigmoid: of two readings of one integer. And
two straight lines that come near SiLU are the sum of two readings of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphopt.ir.dtypes import DType
from graphopt.ir.types import Node
from passes.quant.grid import UINT8, UINT16, Grid, asymmetric, limits

UNUSED = (0, 1, 2, 4, 6)
"""How many integers HardSigmoid's result leaves out: the first number with which its operand's zero is on the grid."""
TOLERANCE = 1e-7
"""By what share of the grid a zero that was written down in float32 may miss an integer."""
BEND = 3.0
"""HardSwish is 0 up to -3, and its operand from 3 on."""
KNEES, SLOPES, OFFSET = (-0.47, 0.69), (0.55, 0.5), -0.32
"""0.55 max(x, -0.47) + 0.5 max(x, 0.69) - 0.32 comes near x sigmoid(x): fitted to normal numbers around 0 with standard
deviations from 1 to 3, where the error is 26 to 29 dB below the result."""
GRIDDED = {"HardSigmoid": "", "HardSwish": "", "QuickGelu": "com.microsoft"}
"""The functions, whose operand needs a grid of its own, and their domains. QuickGelu is SiLU that becomes lines."""


@dataclass(frozen=True)
class Readings:
    """A function as one operator on two readings of an integer. low, high: where the second one is cut before."""

    op: str
    grids: tuple[Grid, Grid]
    low: int
    high: int


def possible(node: Node) -> bool:
    """Whether a call is such a function, with parameters for which there is a grid."""
    if GRIDDED.get(node.op) != node.domain:
        return False
    if node.op == "HardSigmoid":
        return all(hard_sigmoid_grids(*_line(node), dtype) for dtype in (UINT8, UINT16))
    return node.op == "HardSwish" or node.attrs.get("alpha") == 1


def grids_of(node: Node, high: float, dtype: DType) -> dict[str, Grid]:
    """The grid of what a possible call reads, and that of its result if it follows from it, by the tensors' names.

    high: the greatest number that it reads.
    """
    operand, result = node.inputs[0].name, node.outputs[0].name
    if node.op == "HardSwish":
        grid = hard_swish_grid(high, dtype)
        return {operand: grid, result: grid} if reread(node.op, grid) else {operand: grid}
    if node.op != "HardSigmoid":
        return {operand: silu_grid(high, dtype)}
    pair = hard_sigmoid_grids(*_line(node), dtype)
    return {} if pair is None else dict(zip((operand, result), pair, strict=True))


def hard_sigmoid_grids(alpha: float, beta: float, dtype: DType) -> tuple[Grid, Grid] | None:
    """The grids on which HardSigmoid's operand and result are the same integers; None if there are none.

    With n steps for 1, the result y = clip(alpha x + beta, 0, 1) is rounded to q = clip(round(n alpha x + n beta)): to
    what x is rounded to with the scale 1 / (n alpha) and the zero n beta. The integers' own end is the upper clip.
    """
    least, most = limits(dtype)
    for unused in UNUSED:
        steps = most - least + 1 - unused
        zero = round(steps * beta)
        if alpha > 0 and abs(zero - steps * beta) <= TOLERANCE * steps and 0 <= zero <= most - least:
            return _grid(1 / (steps * alpha), zero, dtype), _grid(1 / steps, 0, dtype)
    return None


def hard_swish_grid(high: float, dtype: DType) -> Grid:
    """The finest grid for HardSwish's operand that starts at -3, has 0 and 3 among its points, and reaches `high`.

    Below -3 HardSwish is 0, as it is at -3. Where steps would be wider than 3, the grid starts at 0: HardSwish is Relu
    there, to an eighth of a step.
    """
    least, most = limits(dtype)
    steps = most - least
    zero = int(min(np.floor(BEND * steps / (BEND + max(high, 0.0))), steps))
    if not zero:
        return asymmetric(0.0, high, dtype)
    return _grid(BEND / zero, zero, dtype)


def reread(op: str, grid: Grid) -> bool:
    """Whether the result of the function is the integers of its operand, on this grid, on a grid of its own."""
    return op == "HardSigmoid" or (op == "HardSwish" and int(grid.zero) == grid.low)


def readings(op: str, grid: Grid) -> Readings:
    """HardSwish, or the lines near SiLU, of integers on such a grid."""
    return hard_swish_readings(grid) if op == "HardSwish" else silu_lines(grid)


def hard_swish_readings(grid: Grid) -> Readings:
    """HardSwish is x times what is 0 at -3 and 1 from 3 on: the same integers, cut off at 3, read as (x + 3) / 6."""
    least = int(grid.low)
    gate = _grid(float(grid.scale) / (2 * BEND), 0, grid.dtype)
    return Readings("Mul", (grid, gate), least, 2 * int(grid.zero) - least)


def silu_grid(high: float, dtype: DType) -> Grid:
    """The grid for the operand of the lines near SiLU: it starts at the first knee, below which they are constant."""
    return asymmetric(KNEES[0], max(high, KNEES[1]), dtype)


def silu_lines(grid: Grid) -> Readings:
    """The sum of x and max(x, second knee), each times a slope. The offset is in the zeros, to a quarter of a step."""
    scale, zero, least = float(grid.scale), int(grid.zero), int(grid.low)
    steps = [scale * slope for slope in SLOPES]
    second = min(zero + round(-OFFSET / steps[1]), grid.high)
    first = zero + round((-OFFSET - (second - zero) * steps[1]) / steps[0])
    made = [_grid(step, place - least, grid.dtype) for step, place in zip(steps, (first, second), strict=True)]
    return Readings("Add", (made[0], made[1]), min(zero + round(KNEES[1] / scale), grid.high), grid.high)


def _line(node: Node) -> tuple[float, float]:
    return float(node.attrs.get("alpha", 0.2)), float(node.attrs.get("beta", 0.5))


def _grid(scale: float, zero: int, dtype: DType) -> Grid:
    """The grid with its zero so many steps above the least integer."""
    least, most = limits(dtype)
    return Grid(np.dtype(dtype), np.asarray(scale, np.float32), np.asarray(least + zero, dtype), least, most)
