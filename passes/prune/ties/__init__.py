"""The table of ties: what each operator says about which indices live and die together; importing fills it."""

from __future__ import annotations

from passes.prune.ties import attention, elementwise, linear, movement, recurrent, reduction, reshape
from passes.prune.ties.call import FOLLOWS, TABLE, Call, Change, Kept, Ties, entry
from passes.prune.ties.role import Role, Untold

__all__ = [
    "FOLLOWS",
    "TABLE",
    "Call",
    "Change",
    "Kept",
    "Role",
    "Ties",
    "Untold",
    "attention",
    "elementwise",
    "entry",
    "linear",
    "movement",
    "recurrent",
    "reduction",
    "reshape",
]
