"""Seconds of a run, predicted from how long each layer takes at its widths: so only removals that pay are taken.

A layer is timed alone, in ONNX Runtime with one thread, at every pair of widths that somebody asks for, once. What is
left of the time of the whole network shrinks with the widths. Times are those of the processor for the calling thread,
which other programs hardly disturb.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
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
    from graphopt.numerics.values import Value
    from passes.prune.targets import Cost, Plan
    from passes.prune.trial import Work

RUNS, SECONDS = 30, 0.05
"""A model is timed for so many turns, or seconds if these are over first."""
TURN = 0.0005
"""Seconds of a turn, of one run or several."""
COPIES = 4
"""Of a layer that is timed, with weights of their own: a call of the runtime takes as long as a small layer does."""
OPSET = 13
"""A version of ai.onnx at which layers alone are written; what they do has not changed since."""
ROUNDS, PAIR_SECONDS = (5, 41), 0.3
"""Turns in which two loaded models are compared, at least and at most: so many as this time has room for."""
PAIRS, STEADY = (5, 15), 0.005
"""How often two models are loaded and compared, at least and at most: until the standard error is this small.
What a processor does besides comes and goes in seconds, and slows some models down more than others."""

TRIES = 3
"""Turns of a model in a round, of which the median counts: the fastest are those of a processor at its best."""

Run = Callable[[], object]


def predicted(work: Work) -> Cost:
    """Seconds of a run on one sample. Raises UsageError for a model that cannot be run on drawn inputs."""
    feeds = inputs(work)
    with open_session(work.original.content(), threads=1, name="the model") as session:
        whole = fastest(session.prepared(feeds))
    clock = _Clock(work)
    timed = _layers(work, feeds)
    full = [(shape[axis_of(layer, len(shape))], made) for layer, shape, made in timed]
    rest = max(whole - sum(clock.seconds(*one[:2], *widths) for one, widths in zip(timed, full, strict=True)), 0.0)

    def cost(plan: Plan) -> float:
        planned = Planned(work.grouping, plan)
        widths = [_widths(planned, layer, *had) for (layer, _, _), had in zip(timed, full, strict=True)]
        share = float(np.mean([now / had for (_, now), (_, had) in zip(widths, full, strict=True)])) if full else 1.0
        return sum(clock.seconds(*one[:2], *held) for one, held in zip(timed, widths, strict=True)) + rest * share

    return cost


def ratio(work: Work, cut: ModelProto) -> float:
    """How many times as long as the original another model takes: the median over pairs that are loaded anew, for how
    long a model takes also depends on where in memory it came to lie."""
    feeds, contents = inputs(work), [work.original.content(), cut.SerializeToString()]
    found: list[float] = []
    while len(found) < PAIRS[0] or (len(found) < PAIRS[1] and _error(found) > STEADY):
        found.append(_beside(contents, feeds))
    return statistics.median(found)


def _error(found: Sequence[float]) -> float:
    """The standard error of numbers, as a share of their mean."""
    return statistics.stdev(found) / math.sqrt(len(found)) / statistics.mean(found)


def _beside(contents: Sequence[bytes], feeds: Mapping[str, Value]) -> float:
    """How many times as long the second of two models takes, by turns; in every other round it is the first."""
    first, second = (open_session(content, threads=1, name="the model") for content in contents)
    with first, second:
        runs = [session.prepared(feeds) for session in (first, second)]
        count = turns(runs[0])
        turn = max(timing(runs[0], count) * count, TURN / 1000) * len(runs) * TRIES
        runs[1]()
        found = []
        for number in range(int(np.clip(PAIR_SECONDS / turn, *ROUNDS))):
            order = (0, 1) if number % 2 else (1, 0)
            took = {place: statistics.median(timing(runs[place], count) for _ in range(TRIES)) for place in order}
            found.append(took[1] / took[0])
    return statistics.median(found)


def inputs(work: Work) -> dict[str, Value]:
    """One sample: of those that were given, or drawn."""
    if work.context.calibration is not None:
        batch = next(iter(work.context.calibration.batches(None, 1)))
        return dict(batch.feeds)
    for feeding in drawings(work.context.model, None, {}, work.settings.seed):
        feeds = dict(drawn(feeding.feeds))
        with open_session(work.original.content(), threads=1, name="the model") as session:
            try:
                session.run(feeds)
            except RunError:
                continue
        return feeds
    raise UsageError("prune: latency= needs inputs on which the model runs: --calibration DATA")


def timing(run: Run, count: int = 1) -> float:
    """Seconds of a run, in the mean of `count`."""
    begin = time.thread_time()
    for _ in range(count):
        run()
    return (time.thread_time() - begin) / count


def turns(run: Run) -> int:
    """Runs that make up a turn."""
    run()
    return max(1, round(TURN / max(timing(run), TURN / 1000)))


def fastest(run: Run) -> float:
    """Seconds of a run, of the turn that was disturbed least."""
    count = turns(run)
    times: list[float] = []
    while len(times) < RUNS and sum(times) * count < SECONDS:
        times.append(timing(run, count))
    return min(times)


def _layers(work: Work, feeds: Mapping[str, Value]) -> list[tuple[Layer, tuple[int, ...], int]]:
    """The layers of the model, with the shape of what they read and the width of what they make."""
    found = list(layers(work.grouping.model))
    names = [name for layer in found for name in (layer.node.inputs[0].name, layer.node.outputs[0].name)]
    with work.original.session(names) as session:
        values = session.run(feeds)
    shapes = [(values[a].shape, values[b].shape) for a, b in zip(names[::2], names[1::2], strict=True)]
    return [(one, read, made[axis_of(one, len(made))]) for one, (read, made) in zip(found, shapes, strict=True)]


def axis_of(layer: Layer, rank: int) -> int:
    """The axis of channels of what a layer reads and makes."""
    return 1 if layer.convolves else rank - 1


def _widths(planned: Planned, layer: Layer, read: int, made: int) -> tuple[int, int]:
    """The widths of what a layer reads and makes once the plan is carried out."""
    found = []
    for tensor, had in ((layer.node.inputs[0], read), (layer.node.outputs[0], made)):
        dims = planned.dims(tensor)
        size = None if dims is None else dims[axis_of(layer, len(dims))]
        found.append(size if isinstance(size, int) else had)
    return found[0], found[1]


class _Clock:
    """Times layers alone; equal ones once in a compile."""

    def __init__(self, work: Work) -> None:
        self.held = work.context.memo.setdefault("prune seconds", {})
        self.say = work.context.say
        if "call" not in self.held:
            self.held["call"] = _call()
        self.call: float = self.held["call"]

    def seconds(self, layer: Layer, shape: tuple[int, ...], read: int, made: int) -> float:
        """Seconds of a layer that reads something of this shape, at these widths."""
        attrs = repr(sorted(layer.node.attrs.items()))
        key = (layer.node.op, attrs, layer.weight.values.shape, shape, read, made)
        if key not in self.held:
            self.say(f"prune: timing {layer.weight.tensor.name} from {read} to {made}")
            self.held[key] = max(_alone(layer, shape, read, made) - self.call, 0.0) / COPIES
        found: float = self.held[key]
        return found


def _call() -> float:
    """Seconds of a call of the runtime that computes nothing."""
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "nothing", [_value("x", (1,))], [_value("y", (1,))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    with open_session(model.SerializeToString(), threads=1, name="nothing") as session:
        return fastest(session.prepared({"x": np.ones(1, np.float32)}))


def _alone(layer: Layer, shape: tuple[int, ...], read: int, made: int) -> float:
    """Seconds of `COPIES` of a layer beside each other, at these widths."""
    axis = axis_of(layer, len(shape))
    x = np.ones((*shape[:axis], read, *shape[axis + 1 :]), np.float32)
    attrs = dict(layer.node.attrs)
    if layer.groups == shape[axis]:
        attrs["group"] = read
    sized = _weights(layer, layer.weight.values.shape, read, made)
    rng = np.random.default_rng(0)
    names = [(f"w{copy}", f"y{copy}") for copy in range(COPIES)]
    held = [numpy_helper.from_array(rng.standard_normal(sized).astype(np.float32), weights) for weights, _ in names]
    nodes = [helper.make_node(layer.node.op, ["x", weights], [y], **attrs) for weights, y in names]
    outputs = [_value(y, None) for _, y in names]
    graph = helper.make_graph(nodes, "layer", [_value("x", x.shape)], outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    with open_session(model.SerializeToString(), threads=1, name=f"{layer.node!r} alone") as session:
        return fastest(session.prepared({"x": x}))


def _weights(layer: Layer, shape: Sequence[int], read: int, made: int) -> tuple[int, ...]:
    """The shape of a layer's weights for other widths."""
    if layer.groups == 1:
        sizes = {layer.reading: read, 1 - layer.reading: made}
    elif layer.transposed:
        sizes = {0: read, 1: shape[1]}
    else:
        sizes = {0: made, 1: shape[1] if shape[1] == 1 else read // layer.groups}
    return (sizes[0], sizes[1], *shape[2:])


def _value(name: str, shape: tuple[int, ...] | None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
