"""prune: takes channels, heads and units out of a network."""

from __future__ import annotations

from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import Option, Options, Pass
from passes.prune.cut import cut
from passes.prune.grouping import Grouping
from passes.prune.importance import l2
from passes.prune.selection import lowest

__all__ = ["PRUNE"]


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise ValueError("expected a share, at least 0 and below 1")
    return share


def run(context: Context, options: Options) -> None:
    """Cut the given share of each group, those with the smallest weights first."""
    grouping = Grouping(context.model, context.shapes)
    ratio = options.get("ratio", 0.5)
    cut(context, grouping, {group: lowest(group, l2(grouping, group), ratio) for group in grouping.groups})


PRUNE = Pass(
    "prune",
    run,
    "Take channels, attention heads and units out, with everything that belongs to them.",
    options=(Option("ratio", _share, "the share of each group that goes, by default 0.5"),),
    safe=False,
)
