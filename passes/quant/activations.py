"""Activation functions without an integer kernel, as arithmetic that has one.

What an integer saturates at is a free clip, and the same integer may be read on several grids. So HardSigmoid, which is
a line between two bounds, is no computation: its operand is rounded to a grid that ends at the bounds, and the integers
are read on another grid. HardSwish is the product of its operand and HardSigmoid: of two readings of one integer.
"""

from __future__ import annotations

import numpy as np

from graphopt.ir.dtypes import DType
from graphopt.ir.types import Node
from passes.quant.grid import UINT8, UINT16, Grid, limits

UNUSED = (0, 1, 2, 4, 6)
"""How many integers HardSigmoid's result leaves out: the first number with which its operand's zero is on the grid."""
TOLERANCE = 1e-7
"""By what share of the grid a zero that was written down in float32 may miss an integer."""
BEND = 3.0
"""HardSwish is 0 up to -3, and its operand from 3 on."""
GRIDDED = frozenset({"HardSigmoid", "HardSwish"})
"""The functions, whose operand needs a grid of its own."""


def possible(node: Node) -> bool:
    """Whether a call is such a function, with parameters for which there is a grid."""
    if node.domain or node.op not in GRIDDED:
        return False
    return node.op == "HardSwish" or all(hard_sigmoid_grids(*_line(node), dtype) for dtype in (UINT8, UINT16))


def grids_of(node: Node, high: float, dtype: DType) -> dict[str, Grid]:
    """The grid of what a possible call reads, and that of its result if it follows from it, by the tensors' names.

    high: the greatest number that it reads.
    """
    operand, result = node.inputs[0].name, node.outputs[0].name
    pair = hard_sigmoid_grids(*_line(node), dtype) if node.op == "HardSigmoid" else None
    return {operand: hard_swish_grid(high, dtype)} if pair is None else {operand: pair[0], result: pair[1]}


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

    Below -3 HardSwish is 0, as it is at -3.
    """
    least, most = limits(dtype)
    steps = most - least
    zero = int(np.clip(np.floor(BEND * steps / (BEND + max(high, 0.0))), 1, steps))
    return _grid(BEND / zero, zero, dtype)


def hard_swish_gate(grid: Grid) -> tuple[int, Grid]:
    """With `grid` for x: the integer of 3, and the grid on which the integers up to it stand for (x + 3) / 6."""
    least = int(grid.low)
    return 2 * int(grid.zero) - least, _grid(float(grid.scale) / (2 * BEND), 0, grid.dtype)


def _line(node: Node) -> tuple[float, float]:
    return float(node.attrs.get("alpha", 0.2)), float(node.attrs.get("beta", 0.5))


def _grid(scale: float, zero: int, dtype: DType) -> Grid:
    """The grid with its zero so many steps above the least integer."""
    least, most = limits(dtype)
    return Grid(np.dtype(dtype), np.asarray(scale, np.float32), np.asarray(least + zero, dtype), least, most)
