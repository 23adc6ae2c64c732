"""How much each layer alone disturbs the outputs: one pass over data, in which one switch after the other goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from graphopt.ir.model import Model
from graphopt.ir.types import Array
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
    """The noise of each choice of units. Outputs that are not finite, or no numbers, do not count."""
    changed = np.zeros((len(choices), len(simulation.outputs)))
    signal = np.zeros(len(simulation.outputs))
    for feeds in batches:
        plain = simulation.run(feeds, ())
        numeric = [np.issubdtype(plain[name].dtype, np.floating) for name in simulation.outputs]
        signal += [_power(plain[n]) if real else 0.0 for n, real in zip(simulation.outputs, numeric, strict=True)]
        for index, choice in enumerate(choices):
            found = simulation.run(feeds, choice)
            changed[index] += [
                _power(found[name] - plain[name]) if real else 0.0
                for name, real in zip(simulation.outputs, numeric, strict=True)
            ]
    shares: Array = (changed / np.where(signal > 0, signal, 1.0)).mean(axis=1)
    return [float(share) for share in shares]


def _power(values: Array) -> float:
    finite = np.where(np.isfinite(values), values, 0.0)
    return float(np.square(finite, dtype=np.float64).sum())
