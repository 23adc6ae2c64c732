"""The table of ties: what each operator says about which indices live and die together."""

from __future__ import annotations

from passes.prune.ties import attention as _attention  # noqa: F401 - fills the table
from passes.prune.ties import elementwise as _elementwise  # noqa: F401 - fills the table
from passes.prune.ties import linear as _linear  # noqa: F401 - fills the table
from passes.prune.ties import movement as _movement  # noqa: F401 - fills the table
from passes.prune.ties import recurrent as _recurrent  # noqa: F401 - fills the table
from passes.prune.ties import reduction as _reduction  # noqa: F401 - fills the table
from passes.prune.ties import reshape as _reshape  # noqa: F401 - fills the table
from passes.prune.ties.call import FOLLOWS, TABLE, Call, Change, Kept, Ties, entry
from passes.prune.ties.role import Role, Untold

__all__ = ["FOLLOWS", "TABLE", "Call", "Change", "Kept", "Role", "Ties", "Untold", "entry"]
