"""The table of ties: what each operator says about which indices live and die together."""

from __future__ import annotations

from passes.prune.ties import elementwise as _elementwise  # noqa: F401 - fills the table
from passes.prune.ties import linear as _linear  # noqa: F401 - fills the table
from passes.prune.ties import movement as _movement  # noqa: F401 - fills the table
from passes.prune.ties.call import FOLLOWS, TABLE, Call, Change, Kept, Role, Ties, Untold, entry, source

__all__ = ["FOLLOWS", "TABLE", "Call", "Change", "Kept", "Role", "Ties", "Untold", "entry", "source"]
