"""The pass: which groups may be cut, with what settings, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from graphopt.errors import UsageError
from graphopt.ir.words import listed
from graphopt.pipeline.journal import Table
from passes.prune.choose import candidates, grouped
from passes.prune.importance import SAMPLED
from passes.prune.planner import Planner, looks
from passes.prune.recover.program import Feeds, Program
from passes.prune.settings import Settings, settings_of
from passes.prune.taylor import needed
from passes.prune.trial import Work, carry_out

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context
    from graphopt.pipeline.passes import Options
    from passes.prune.targets import Plan


VECTOR = 8
"""Of so many channels ONNX Runtime makes blocks: other widths may take longer than whole ones."""


def prune(context: Context, options: Options) -> None:
    """Take atoms out of the model of a compile. Raises UsageError for options that do not fit it."""
    grouping = grouped(context, options)
    settings = _settled(context, settings_of(options, context.seed))
    groups = [group for group in candidates(grouping, options) if group.size > 1]
    if context.spent:
        return
    feeds = Feeds(context.calibration, settings.samples) if context.calibration and looks(settings) else None
    work = Work(context, grouping, Program(context.model), settings, feeds)
    planner = Planner(work, groups)
    plan = planner.plan()
    context.tabulate(table(plan, planner))
    if not settings.round_to and (uneven := _uneven(plan)):
        context.note(uneven)
    carry_out(work, plan)


def _settled(context: Context, settings: Settings) -> Settings:
    """The settings with what follows from whether there are samples. Raises UsageError where some are missing."""
    sampled = context.calibration is not None
    filled = replace(
        settings,
        importance=settings.importance or ("obs" if sampled else "l2"),
        allocate=settings.allocate or _allocation(settings, sampled=sampled),
        recover=settings.recover or ("squares" if sampled else "none"),
    )
    if filled.latency is not None:
        filled = replace(filled, round_to=settings.round_to or VECTOR)
    if len(filled.targets) > 1:
        raise UsageError(f"prune takes one target, found {listed(list(filled.targets))}")
    if not sampled and looks(filled):
        asked = next(
            f"{name}={value}"
            for name, value in (
                ("importance", filled.importance if filled.importance in SAMPLED else ""),
                ("allocate", filled.allocate if filled.allocate == "sensitivity" else ""),
                ("recover", filled.recover if filled.recover != "none" else ""),
            )
            if value
        )
        raise UsageError(f"prune: {asked} needs samples to run the model on: --calibration DATA (no labels needed)")
    if filled.importance == "taylor":
        needed()
    goal = context.goal
    if not filled.targets and (goal is None or goal.allowed is None):
        filled = replace(filled, ratio=0.5, allocate=settings.allocate or "uniform")
    if filled.ratio is not None and filled.allocate != "uniform":
        raise UsageError(
            f"prune: ratio= takes the same share of every group, so it does not go with allocate={filled.allocate}"
        )
    return filled


def _allocation(settings: Settings, *, sampled: bool) -> str:
    """How much of which group, if nobody said."""
    if settings.ratio is None and sampled:
        return "sensitivity"
    return "uniform" if settings.latency is None else "global"


def _uneven(plan: Plan) -> str:
    """That widths were chosen by operations, not by time; "" if they suit both."""
    widths = [group.size - len(gone) for group, gone in plan.items() if len(gone)]
    odd = sum(width % VECTOR > 0 for width in widths)
    if not odd:
        return ""
    return (
        f"{odd} of the {len(widths)} new widths are no multiple of {VECTOR}, of which ONNX Runtime makes blocks: "
        f"what multiplies less may take no less time; round_to={2 * VECTOR} or latency= is for that"
    )


def table(plan: Plan, planner: Planner) -> Table:
    """What goes, for the report."""
    rows = tuple(
        (group.name, str(group.kind), group.size, group.size - len(gone), round(1 - len(gone) / group.size, 3))
        for group, gone in plan.items()
        if len(gone)
    )
    settings = planner.work.settings
    ways = f"importance {settings.importance}, allocation {settings.allocate}, recovery {settings.recover}"
    share = planner.cost(plan) / planner.full if planner.measured is None else planner.measured
    goal = planner.work.context.goal
    lost = f"; {planner.loss:.4g} lost in {goal.metric}" if goal is not None and planner.loss is not None else ""
    text = f"{planner.name} {share:.3f}; {ways}{lost}."
    return Table("prune", ("group", "kind", "had", "has", "share"), rows, text)
