"""The static scheme with everything that makes it more accurate, as its user sees it."""

import numpy as np
import onnxruntime as ort
import pytest

from graphopt.calibration.activations import activations
from graphopt.data.opening import open_data
from graphopt.ir.reader import load
from graphopt.pipeline.context import Context, Resources
from passes.quant import placement, static
from passes.quant.accuracy import rounding
from passes.quant.accuracy.sensitivity import noise, sensitivities
from passes.quant.accuracy.simulation import simulated
from passes.quant.options import Settings
from passes.quant.plan import make
from passes.quant.prepare import prepare
from passes.quant.processor import integers_of
from passes.quant.units import find
from tests.passes.quant.nets import convs, quantised, samples, saved
from tests.support import operators


@pytest.fixture
def data(tmp_path):
    return saved(tmp_path, x=samples((64, 3, 12, 12)))


def outputs(model, x):
    result = model.to_proto() if hasattr(model, "to_proto") else model
    return ort.InferenceSession(result.SerializeToString()).run(None, {"x": x})[0]


def signal(model, x):
    """Of the output of the quantised model over its noise, in dB."""
    real, found = outputs(convs(), x), outputs(model, x)
    return 10 * np.log10(np.square(real).sum() / np.square(found - real).sum())


@pytest.mark.parametrize("bits", [4, 8])
def test_rounding_for_products_is_better_than_to_the_nearest(data, bits):
    x = samples((64, 3, 12, 12), seed=9)
    nearest, products = (
        signal(quantised(convs(), data, f"quant:scheme=static:bits={bits}:rounding={how}").model, x)
        for how in ("nearest", "products")
    )
    assert products > nearest


@pytest.fixture
def planned(data):
    model = load(convs())
    context = Context(model, resources=Resources(open_data(data, model)))
    context.begin("quant")
    settings = Settings(scheme="static", calibrate="minmax")
    prepare(context, settings)
    integers = integers_of(context.target)
    manner = static.manner_of(integers, settings)
    units = placement.choose(context, find(context, integers)[0])
    plan = make(units, *static._ranges(context, units, settings, manner), manner)
    return context, settings, units, plan


def test_the_simulation_gives_what_the_model_will(planned, data):
    context, settings, units, plan = planned
    feeds = {"x": samples((8, 3, 12, 12), seed=5)}
    real = outputs(convs(), feeds["x"])
    made = outputs(static.candidate(context, plan, settings), feeds["x"])
    with simulated(context.model, units, plan) as simulation:
        assert np.allclose(simulation.run(feeds, ())["y"], real, atol=1e-5)
        step = float(plan.grids["y"].scale)
        assert np.abs(simulation.run(feeds)["y"] - made).max() <= 2.01 * step
        assert not np.array_equal(simulation.run(feeds, [units[0].name])["y"], real)


def test_weights_stay_within_a_step(planned):
    context, _, units, plan = planned
    read = [unit.data[0] for unit in units]
    seen = rounding.observed(units, [plan], activations(context.model, context.calibration, read), 0)
    (made,) = rounding.refined(units, [plan], seen)
    assert len(seen) == len(plan.weights) == 3
    for unit in units:
        if unit.weight is not None:
            off = made.weights[unit.name].grid.dequantise(made.weights[unit.name].values) - unit.weight.values
            assert np.all(np.abs(off) <= 1.001 * plan.weights[unit.name].grid.scale.max())
            assert not np.array_equal(made.weights[unit.name].values, plan.weights[unit.name].values)


def test_a_layer_alone_disturbs_less_than_all(planned):
    context, _, units, plan = planned
    feeds = [{"x": samples((8, 3, 12, 12), seed=5)}]
    alone = sensitivities(context.model, units, plan, feeds)
    assert set(alone) == set(plan.weights)
    assert 0 < max(alone.values()) < 2 * noise(context.model, units, plan, feeds)


def test_activations_are_what_the_model_computes(planned, data):
    context, _, units, _ = planned
    read = [unit.data[0] for unit in units]
    batches = list(activations(context.model, context.calibration, read, samples=40))
    assert [len(batch["x"]) for batch in batches] == [32, 8]
    assert set(batches[0]) == {tensor.name for tensor in read}


class Noise:
    """A goal: how far outputs are off, as a share of them."""

    metric, allowed = "noise", 0.05

    def loss(self, model):
        x = samples((8, 3, 12, 12), seed=5)
        real, found = outputs(convs(), x), outputs(load(model), x)
        return float(np.linalg.norm(found - real) / np.linalg.norm(real))


def test_layers_stay_float_until_the_goal_is_kept(data):
    model, goal = load(convs()), Noise()
    context = Context(model, resources=Resources(open_data(data, model), goal))
    context.begin("quant")
    static.run(context, Settings(scheme="static", bits=2))
    context.editor.flush()
    made = operators(model)
    assert goal.loss(model.to_proto()) <= goal.allowed
    assert made["QuantizeLinear"]
    (table,) = [one for one in context.journal.tables if one.title == "Layers by what they disturb"]
    assert {row[-1] for row in table.rows} == {"integers", "float"}
