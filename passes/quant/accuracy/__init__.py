"""What makes a quantised network more accurate: better weights and biases, and floats where integers lose too much."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphopt.calibration.activations import activations
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.types import Array
from graphopt.pipeline.context import Context, Goal
from graphopt.pipeline.journal import Table
from passes.quant.accuracy import patches, rounding
from passes.quant.accuracy.ending import unrounded
from passes.quant.accuracy.mixed import Search
from passes.quant.accuracy.sensitivity import noise, sensitivities
from passes.quant.options import Settings
from passes.quant.plan import Manner, Plan
from passes.quant.units import Unit

ROUNDED_ON, JUDGED_ON, SENSED_ON = 128, 64, 32
"""Samples from which roundings follow, on which plans are compared, and on which layers are switched one by one."""

Build = Callable[[Plan], Model]
"""Gives the model that a plan makes, unchecked."""


def refine(
    context: Context, settings: Settings, units: Sequence[Unit], plans: Sequence[Plan], manner: Manner, build: Build
) -> Plan:
    """The best of the plans for one network, its weights rounded for its products, within what the goal allows.

    Done once in a compile: attempts after the first find it in the context's memo.
    """
    key = ("quant", "refined", tuple(context.keys), plans[0].units, settings)
    if key not in context.memo:
        graph = context.model.graph
        made = Refined(_best(context, units, [unrounded(graph, units, one, settings, manner) for one in plans]))
        made = _rounded(context, units, made) if settings.rounding == "products" else made
        context.memo[key] = _within(context, units, made, build)
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


def _best(context: Context, units: Sequence[Unit], plans: Sequence[Plan]) -> Plan:
    """The plan that disturbs the outputs least."""
    if len(plans) == 1:
        return plans[0]
    context.say("comparing ranges")
    return min(plans, key=lambda plan: noise(context.model, units, plan, _feeds(context, JUDGED_ON)))


def _rounded(context: Context, units: Sequence[Unit], made: Refined) -> Refined:
    """The plan with weights rounded by least squares, if the outputs are better for it."""
    data, plan = context.calibration, made.plan
    if data is None:
        return made
    context.say("rounding weights")
    read = [unit.data[0] for unit in units if unit.name in plan.weights and patches.suits(unit)]
    seen = activations(context.model, data, read, samples=ROUNDED_ON)
    other = rounding.refined(units, plan, rounding.observed(units, plan, seen, context.seed))
    before, after = (noise(context.model, units, one, _feeds(context, JUDGED_ON)) for one in (plan, other))
    if not after < before:
        return made
    note = (
        f"weights were rounded so that products stay what they are: noise at the outputs is {decibels(after)} dB "
        f"below them, and was {decibels(before)} dB with every weight rounded to the nearest"
    )
    return replace(made, plan=other, notes=(*made.notes, note))


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
    assert unit.weight is not None  # noqa: S101 - sensitivities are those of products
    channels = max(1, unit.weight.shape[unit.axis or 0])
    return max(1.0, math.prod(shape or (1,)) * unit.weight.size / channels)


def _feeds(context: Context, count: int) -> Iterator[Mapping[str, Array]]:
    """Samples that were not used to round, if there are enough. Raises UsageError where there are none."""
    data = context.calibration
    if data is None:
        raise UsageError("there is no calibration data")
    enough = data.count is not None and data.count >= ROUNDED_ON + count
    batches = data.batches(limit=ROUNDED_ON + count if enough else count)
    done = 0
    for batch in batches:
        done += batch.count
        if not enough or done > ROUNDED_ON:
            yield batch.feeds


def decibels(noise_share: float) -> float:
    """How far noise is below the signal, in dB, rounded."""
    return round(-10 * math.log10(max(noise_share, 1e-20)), 1)
