"""What was cut, as a table for the report."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from graphopt.pipeline.journal import Table
from passes.prune.grouping import Grouping
from passes.prune.groups import Group


def table(grouping: Grouping, groups: Iterable[Group]) -> Table:
    """One row for each of the groups: how many atoms it had, and has."""
    rows = []
    for group in groups:
        left = int(np.count_nonzero(grouping.alive[group.atoms]))
        rows.append((group.name, str(group.kind), group.size, left))
    whole, now = (sum(int(row[column]) for row in rows) for column in (2, 3))
    return Table("Pruned groups", ("group", "kind", "before", "after"), tuple(rows), f"{whole - now} of {whole} went.")
