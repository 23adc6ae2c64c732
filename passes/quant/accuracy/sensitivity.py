"""How much each layer alone disturbs the outputs: one pass over data, in which one switch after the other goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphopt.ir.model import Model
from graphopt.ir.types import Array
from passes.quant.accuracy.judging import Noise
from passes.quant.accuracy.simulation import Simulation, simulated
from passes.quant.plan import Plan
from passes.quant.units import Unit

Batches = Iterable[Mapping[str, Array]]


def noise(model: Model, units: Sequence[Unit], plan: Plan, batches: Batches) -> float:
    """The power of what quantisation changes in the outputs, over that of the outputs: the mean over outputs."""
    with simulated(model, units, plan) as simulation:
        return _noises(simulation, batches, [simulation.units])[0]


def sensitivities(model: Model, units: Sequence[Unit], plan: Plan, batches: Batches) -> dict[str, float]:
    """The noise that quantising one product alone makes, by unit."""
    with simulated(model, units, plan) as simulation:
        names = [name for name in simulation.units if name in plan.weights]
        return dict(zip(names, _noises(simulation, batches, [(name,) for name in names]), strict=True))


def _noises(simulation: Simulation, batches: Batches, choices: Sequence[Sequence[str]]) -> list[float]:
    """The noise of each choice of units."""
    found = [Noise(simulation.outputs) for _ in choices]
    for feeds in batches:
        plain = simulation.run(feeds, ())
        for one, choice in zip(found, choices, strict=True):
            one.add(plain, simulation.run(feeds, choice))
    return [one.share for one in found]
