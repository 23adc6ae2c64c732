"""How much of a compile is checked."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How much is checked. Each level includes the ones before it."""

    OFF = "off"
    STRUCTURE = "structure"
    """After every pass: order, names, schemas of new nodes, the model's interface."""
    REGION = "region"
    """Every rewrite on its region, and the whole model at the end if it is within the budget."""
    FULL = "full"
    """The whole model whatever its size; it and regions at two sizes of every free dimension, and pictures uncut."""
