"""Weights that are read back from their integers: how far they may be from what they were.

Rounded to the nearest point a weight moves by no more than half a step of its grid. Rounded by least squares it goes to
one of the two points next to it, so it moves by less than a step.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from graphopt.pipeline.journal import Status, Verdict
from passes.quant.plan import Plan, Weight
from passes.quant.units import Unit

SLACK = 1e-4
"""Steps that the rounding of the scale to a float32 may add: a tenth of it for the 127 steps of a weight."""


def moved(unit: Unit, weight: Weight) -> float:
    """How far the weight that moved most did, in steps of its grid; infinite if one is no number."""
    real = np.asarray(unit.own_weight.values, np.float64)
    if not real.size:
        return 0.0
    grid = weight.grid
    shape = [-1 if place == grid.axis else 1 for place in range(real.ndim)]
    scale, zero = (np.asarray(one, np.float64).reshape(shape) for one in (grid.scale, grid.zero))
    most = np.abs((weight.values.astype(np.float64) - zero) - real / scale).max()
    return float(np.nan_to_num(most, nan=np.inf))


def broken(units: Iterable[Unit], plan: Plan) -> dict[str, Verdict]:
    """What is wrong with units of which a weight is further from what it was than its rounding allows, by name."""
    found = {}
    for unit in units:
        weight = plan.weights.get(unit.name)
        most = 0.0 if weight is None else moved(unit, weight)
        if weight is not None and most > weight.moves + SLACK:
            found[unit.name] = Verdict(
                Status.WRONG,
                most,
                f"a weight is {most:.4g} steps of its grid from what it was, and its rounding moves none by more than "
                f"{weight.moves:g}",
            )
    return found
