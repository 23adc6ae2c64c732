"""What makes a quantised network more accurate: better weights and biases, and floats where integers lose too much."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphopt.calibration.activations import activations
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.types import Array
from graphopt.pipeline.context import Context, Goal
from graphopt.pipeline.journal import Table
from passes.quant.accuracy import patches, rounding
from passes.quant.accuracy.ending import unrounded
from passes.quant.accuracy.judging import Judge
from passes.quant.accuracy.mixed import Search
from passes.quant.accuracy.sensitivity import sensitivities
from passes.quant.options import Settings
from passes.quant.plan import Manner, Plan
from passes.quant.units import Unit

ROUNDED_ON, JUDGED_ON, SENSED_ON = 128, 64, 32
"""Samples from which roundings follow, on which plans are compared, and on which layers are switched one by one."""

Build = Callable[[Plan], Model]
"""Gives the model that a plan makes, unchecked."""


def refine(
    context: Context,
    settings: Settings,
    units: Sequence[Unit],
    plans: Mapping[str, Plan],
    manner: Manner,
    build: Build,
) -> Plan:
    """The best of the plans for one network, its weights rounded for its products, within what the goal allows.

    plans: by what tells them apart. Done once in a compile: attempts after the first find it in the context's memo.
    """
    key = ("quant", "refined", tuple(context.keys), next(iter(plans.values())).units, settings)
    if key not in context.memo:
        graph = context.model.graph
        ended = {name: unrounded(graph, units, one, settings, manner) for name, one in plans.items()}
        context.memo[key] = _within(context, units, _best(context, settings, units, ended, build), build)
    found: Refined = context.memo[key]
    for note in found.notes:
        context.note(note)
    for table in found.tables:
        context.tabulate(table)
    return found.plan


@dataclass(frozen=True)
class Refined:
    """A plan, and what is to be said of how it was found."""

    plan: Plan
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def _best(
    context: Context, settings: Settings, units: Sequence[Unit], plans: Mapping[str, Plan], build: Build
) -> Refined:
    """The plan that disturbs the outputs least on samples that no rounding has seen."""
    choices = {f"{name}, nearest": plan for name, plan in plans.items()}
    if settings.rounding == "products":
        choices |= _rounded(context, units, plans)
    if len(choices) == 1:
        return Refined(next(iter(choices.values())))
    context.say("comparing ranges and roundings")
    judge = Judge(context.model, _feeds(context, JUDGED_ON))
    noises = {name: judge.noise(build(plan)) for name, plan in choices.items()}
    best = min(noises, key=lambda name: noises[name])
    plainest = decibels(max(noises.values()))
    note = (
        f"of {len(choices)} ways to find ranges and to round weights ({best}) disturbs the outputs least: its noise is "
        f"{decibels(noises[best])} dB below them on the calibration data, and that of the worst {plainest} dB"
    )
    return Refined(choices[best], (note,))


def _rounded(context: Context, units: Sequence[Unit], plans: Mapping[str, Plan]) -> dict[str, Plan]:
    """The plans with weights rounded by least squares."""
    data = context.calibration
    if data is None:
        return {}
    context.say("rounding weights")
    weighted = {unit.name for plan in plans.values() for unit in units if unit.name in plan.weights}
    read = [unit.data[0] for unit in units if unit.name in weighted and patches.suits(unit)]
    seen = activations(context.model, data, read, samples=_rounded_on(data))
    held = list(plans.values())
    made = rounding.refined(units, held, rounding.observed(units, held, seen, context.seed))
    return {f"{name}, for products": plan for name, plan in zip(plans, made, strict=True)}


def _within(context: Context, units: Sequence[Unit], made: Refined, build: Build) -> Refined:
    """The plan less what the goal does not allow."""
    goal = context.goal
    if goal is None or goal.allowed is None:
        return made
    search = Search(lambda one: _loss(goal, build(one)), goal.allowed)
    if search.fits(made.plan):
        return made
    context.say("searching for the layers that stay float")
    noises = sensitivities(context.model, units, made.plan, _feeds(context, SENSED_ON))
    costs = {unit.name: _cost(context, unit) for unit in units if unit.name in noises}
    order = sorted(noises, key=lambda name: -noises[name] / costs[name])
    found = search.within(made.plan, order, costs)
    table = _table(goal, search, Layers(noises, costs), (made.plan, found))
    return replace(made, plan=found, tables=(*made.tables, table))


@dataclass(frozen=True)
class Layers:
    """What products disturb, as shares of the outputs' power, and their multiplications, by name."""

    noises: Mapping[str, float]
    costs: Mapping[str, float]


def _table(goal: Goal, search: Search, layers: Layers, plans: tuple[Plan, Plan]) -> Table:
    """A row for each product, those that disturb most first. plans: all in integers, and what was found."""
    total = sum(layers.costs.values())
    before, after = (search.losses.get(frozenset(plan.units), 0.0) for plan in plans)
    inside = set(plans[1].units)
    rows = tuple(
        (name, decibels(share), f"{layers.costs[name] / total:.1%}", "integers" if name in inside else "float")
        for name, share in sorted(layers.noises.items(), key=lambda one: -one[1])
    )
    text = (
        f"All in integers, {goal.metric} loses {before:g}, and may lose {goal.allowed:g}; as it is now, it loses "
        f"{after:g}. {search.tried} choices were measured."
    )
    return Table("Layers by what they disturb", ("layer", "signal to noise, dB", "multiplications", "in"), rows, text)


def _loss(goal: Goal, model: Model) -> float:
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        path = Path(folder) / "model.onnx"
        model.save(path)
        return goal.loss(path)


def _cost(context: Context, unit: Unit) -> float:
    """Multiplications, at the small sizes that free dimensions are bound to."""
    shape = context.bound[0].static(unit.node.outputs[0])
    weight = unit.own_weight
    channels = max(1, weight.shape[unit.axis or 0])
    return max(1.0, math.prod(shape or (1,)) * weight.size / channels)


def _rounded_on(data: Data) -> int:
    """How many samples roundings follow from: two of three, if there are few."""
    return ROUNDED_ON if data.count is None else min(ROUNDED_ON, max(1, data.count * 2 // 3))


def _feeds(context: Context, count: int) -> Iterator[Mapping[str, Array]]:
    """Samples that were not used to round, if there are any. Raises UsageError where there are none at all."""
    data = context.calibration
    if data is None:
        raise UsageError("there is no calibration data")
    used, done, found = _rounded_on(data), 0, False
    for batch in data.batches(limit=used + count):
        done += batch.count
        if done > used:
            found = True
            yield batch.feeds
    if not found:
        yield from (batch.feeds for batch in data.batches(limit=count))


def decibels(noise_share: float) -> float:
    """How far noise is below the signal, in dB, rounded."""
    return round(-10 * math.log10(max(noise_share, 1e-20)), 1)
