"""Seconds of a run, predicted from how long each layer takes at several widths: so only removals that pay are taken.

Each layer is timed alone, in ONNX Runtime with one thread, at a grid of widths of what it reads and makes; between them
times are interpolated. What is left of the time of the whole network shrinks with the widths. Times are those of the
processor for the calling thread, which other programs hardly disturb.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from graphopt.errors import UsageError
from graphopt.measure.feeding import drawings
from graphopt.measure.provider import RunError, open_session
from graphopt.numerics.run import drawn
from passes.prune.planned import Planned
from passes.prune.recover.layers import Layer, layers

if TYPE_CHECKING:
    from graphopt.ir.types import Array
    from graphopt.numerics.values import Value
    from passes.prune.targets import Cost, Plan
    from passes.prune.trial import Work

GRID = (0.25, 0.5, 0.75, 1.0)
"""Shares of the widths of a layer at which it is timed."""
RUNS, SECONDS = 25, 0.03
"""A model is timed for so many runs, or seconds if these are over first."""
OPSET = 13
"""A version of ai.onnx at which layers alone are written; what they do has not changed since."""
ROUNDS = 41
"""Turns in which two whole models are compared."""

Run = Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """A layer, and its seconds [widths of what it reads, widths of what it makes] at `GRID`."""

    layer: Layer
    seconds: Array

    def at(self, read: float, made: float) -> float:
        """Seconds at shares of the widths, interpolated."""
        along = [float(np.interp(made, GRID, row)) for row in self.seconds]
        return float(np.interp(read, GRID, along))


def predicted(work: Work) -> Cost:
    """Seconds of a run on one sample. Raises UsageError for a model that cannot be run on drawn inputs."""
    feeds = inputs(work)
    with open_session(work.original.proto.SerializeToString(), threads=1, name="the model") as session:
        whole = median(session.prepared(feeds))
    timed = [_timed(work, layer, dims) for layer, dims in _layers(work, feeds)]
    rest = max(whole - sum(one.at(1.0, 1.0) for one in timed), 0.0)

    def cost(plan: Plan) -> float:
        planned = Planned(work.grouping, plan)
        shares = [_shares(planned, one.layer) for one in timed]
        mean = float(np.mean([made for _, made in shares])) if shares else 1.0
        return sum(one.at(*share) for one, share in zip(timed, shares, strict=True)) + rest * mean

    return cost


def ratio(work: Work, cut: ModelProto) -> float:
    """How many times as long as the original another model takes, measured in turns."""
    feeds = inputs(work)
    protos = [work.original.proto, cut]
    sessions = [open_session(proto.SerializeToString(), threads=1, name="the model") for proto in protos]
    runs = [session.prepared(feeds) for session in sessions]
    ratios = []
    for _ in range(ROUNDS):
        first, second = (min(timing(run) for _ in range(3)) for run in runs)
        ratios.append(second / first)
    return statistics.median(ratios)


def inputs(work: Work) -> dict[str, Value]:
    """One sample: of those that were given, or drawn."""
    if work.context.calibration is not None:
        batch = next(iter(work.context.calibration.batches(None, 1)))
        return dict(batch.feeds)
    for feeding in drawings(work.context.model, None, {}, work.settings.seed):
        feeds = dict(drawn(feeding.feeds))
        with open_session(work.original.proto.SerializeToString(), threads=1, name="the model") as session:
            try:
                session.run(feeds)
            except RunError:
                continue
        return feeds
    raise UsageError("prune: latency= needs inputs on which the model runs: --calibration DATA")


def timing(run: Run) -> float:
    """Seconds of a run."""
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def median(run: Run) -> float:
    """Seconds of a run, the median of some."""
    run()
    times: list[float] = []
    while len(times) < RUNS and sum(times) < SECONDS:
        times.append(timing(run))
    return statistics.median(times)


def _layers(work: Work, feeds: Mapping[str, Value]) -> list[tuple[Layer, tuple[tuple[int, ...], int]]]:
    """The layers of the model, with the shape of what they read and the width of what they make."""
    found = list(layers(work.grouping.model))
    names = [name for layer in found for name in (layer.node.inputs[0].name, layer.node.outputs[0].name)]
    with work.original.session(names) as session:
        values = session.run(feeds)
    shapes = [(values[a].shape, values[b].shape) for a, b in zip(names[::2], names[1::2], strict=True)]
    return [(one, (read, made[axis_of(one, len(made))])) for one, (read, made) in zip(found, shapes, strict=True)]


def axis_of(layer: Layer, rank: int) -> int:
    """The axis of channels of what a layer reads and makes."""
    return 1 if layer.convolves else rank - 1


def _shares(planned: Planned, layer: Layer) -> tuple[float, float]:
    """The shares that stay of the widths of what a layer reads and makes."""
    found = []
    for tensor in (layer.node.inputs[0], layer.node.outputs[0]):
        before, after = planned.grouping.shapes.dims(tensor), planned.dims(tensor)
        if before is None or after is None:
            return 1.0, 1.0
        axis = axis_of(layer, len(before))
        a, b = before[axis], after[axis]
        found.append(b / a if isinstance(a, int) and isinstance(b, int) else 1.0)
    return found[0], found[1]


def _timed(work: Work, layer: Layer, dims: tuple[tuple[int, ...], int]) -> Timed:
    """The times of a layer. One whose channels each have a kernel of their own is as wide on both sides."""
    shape, made = dims
    key = ("prune seconds", layer.node.op, repr(sorted(layer.node.attrs.items())), layer.weight.values.shape, shape)
    if key not in work.context.memo:
        work.context.say(f"prune: timing {layer.weight.tensor.name}")
        seconds = np.zeros((len(GRID), len(GRID)))
        for i, read in enumerate(GRID):
            for j, wide in enumerate(GRID):
                seconds[i, j] = _alone(layer, shape, made, read, wide) if layer.groups == 1 or i == j else 0.0
        if layer.groups > 1:
            seconds[:] = np.diagonal(seconds)
        work.context.memo[key] = seconds
    return Timed(layer, work.context.memo[key])


def _alone(layer: Layer, shape: tuple[int, ...], made: int, read: float, wide: float) -> float:
    """Seconds of a layer alone, at shares of its widths."""
    axis = axis_of(layer, len(shape))
    width = max(1, round(shape[axis] * read))
    x = np.ones((*shape[:axis], width, *shape[axis + 1 :]), np.float32)
    weights = layer.weight.values.shape
    sized = _weights(layer, weights, width, max(1, round(made * wide)))
    attrs = dict(layer.node.attrs)
    if layer.groups > 1:
        attrs["group"] = width if layer.groups == shape[axis] else layer.groups
    node = helper.make_node(layer.node.op, ["x", "w"], ["y"], **attrs)
    rng = np.random.default_rng(0)
    held = numpy_helper.from_array(rng.standard_normal(sized).astype(np.float32), "w")
    graph = helper.make_graph([node], "layer", [_value("x", x.shape)], [_value("y", None)], [held])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    with open_session(model.SerializeToString(), threads=1, name=f"{layer.node!r} alone") as session:
        return median(session.prepared({"x": x}))


def _weights(layer: Layer, shape: Sequence[int], read: int, made: int) -> tuple[int, ...]:
    """The shape of a layer's weights for other widths."""
    if layer.groups > 1:
        whole = read if shape[1] == 1 else shape[0]
        return (whole, *shape[1:])
    sizes = {layer.reading: read, 1 - layer.reading: made}
    return (sizes[0], sizes[1], *shape[2:])


def _value(name: str, shape: tuple[int, ...] | None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
