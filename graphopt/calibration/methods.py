"""How a range follows from what was observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphopt.calibration.observed import Observed

Edges = tuple[float, float]


def minmax(seen: Observed) -> Edges:
    """All values."""
    return seen.low, seen.high


def moving(seen: Observed) -> Edges:
    """The averages of the edges of the batches, the last ones weighing most."""
    return seen.moving


METHODS: Mapping[str, Callable[[Observed], Edges]] = {"minmax": minmax, "moving": moving}
