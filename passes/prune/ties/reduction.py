"""Operators that work along an axis as a whole: it stays, unless they treat parts of it alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from passes.prune.sites import ONE
from passes.prune.ties.call import Call, Change, Kept, aligned, index, others, ties
from passes.prune.ties.role import Role, Untold

REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")


@ties(*(f"Reduce{name}" for name in REDUCTIONS), "ArgMax", "ArgMin")
def reduce(call: Call) -> None:
    """The axes that are not reduced are those of the output."""
    rank = call.rank(call.x)
    axes = _axes(call, rank)
    keep = call.attr("keepdims", 1)
    made = call.axes(call.y)
    place = 0
    for axis, site in enumerate(call.axes(call.x)):
        if axis in axes:
            call.sites.pin(site, f"{call.node.op} reduces it", soft=call.node.op == "ReduceMean")
            place += bool(keep)
        else:
            call.sites.tie(site, made[place])
            place += 1


def _axes(call: Call, rank: int) -> set[int]:
    if call.node.op.startswith("Arg"):
        return {int(call.attr("axis", 0)) % rank}
    axes = call.numbers(1) if call.has(1) else call.attr("axes")
    if axes is None and call.has(1):
        raise Untold("its axes are not known")
    if not axes:
        return set() if call.attr("noop_with_empty_axes", 0) else set(range(rank))
    return {axis % rank for axis in axes}


COERCED = 13
"""The version of ai.onnx from which on Softmax works along one axis, and not on all from one on."""


@ties("Softmax", "LogSoftmax", "Hardmax")
def softmax(call: Call) -> None:
    """Every element depends on all along the axis."""
    rank = call.rank(call.x)
    first = call.axis(call.x, default=-1 if call.opset >= COERCED else 1)
    along = {first} if call.opset >= COERCED else set(range(first, rank))
    whole(call, along)


ALONG: dict[str, Callable[[Call], list[int] | None]] = {
    "CumSum": lambda call: call.numbers(1),
    "TopK": lambda call: [call.attr("axis", -1)],
    "LpNormalization": lambda call: [call.attr("axis", -1)],
    "MeanVarianceNormalization": lambda call: call.attr("axes", [0, 2, 3]),
    "LRN": lambda _call: [1],
    "Trilu": lambda _call: [-1, -2],
    "ReverseSequence": lambda _call: [0, 1],
}
"""The axes along which these work."""


@ties(*ALONG)
def along(call: Call) -> None:
    """As Softmax, each along axes of its own."""
    rank = call.rank(call.x)
    axes = ALONG[call.node.op](call)
    if axes is None:
        raise Untold("its axis is not known")
    whole(call, {axis % rank for axis in axes})


def whole(call: Call, axes: set[int]) -> None:
    """The operator works on all of these axes; the others of the first input are those of the outputs."""
    for axis in axes:
        call.pin(call.x, axis, f"{call.node.op} works on the whole of it")
    for made in call.outputs:
        if made.name:
            others(call, call.x, made, axes)
            for axis in axes:
                call.pin(made, axis, f"{call.node.op} works on the whole of it")


@ties("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def layer_normalization(call: Call) -> None:
    """What is averaged over stays; the vectors lie along it."""
    _averaged(call, (1, 2), call.axis(call.x, default=-1))
    for made in call.outputs:
        if made.name:
            others(call, call.x, made, set())


SKIPS = ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")


@ties(*(f"com.microsoft.{name}" for name in SKIPS))
def skip_layer_normalization(call: Call) -> None:
    """As LayerNormalization of a sum, which is the fourth output."""
    simple = call.node.op == SKIPS[1]
    aligned(call, [1])
    _averaged(call, (2, 3) if simple else (2, 3, 4), call.rank(call.x) - 1)
    for made in (call.outputs[0], *call.outputs[3:]):
        if made.name:
            others(call, call.x, made, set())


def _averaged(call: Call, vectors: Iterable[int], first: int) -> None:
    rank = call.rank(call.x)
    for position in vectors:
        if call.has(position):
            vector = call.inputs[position]
            for back in range(1, call.rank(vector) + 1):
                if call.axes(vector)[-back] != ONE:
                    call.same(call.x, rank - back, vector, -back)
                call.role(position, call.rank(vector) - back, Role.FOLLOWER)
    for axis in range(first, rank):
        call.sites.pin(call.axes(call.x)[axis], f"{call.node.op} averages over it", soft=True)


def _norm_groups(call: Call, kept: Kept) -> Change:
    left = kept.own(call.node)
    return Change() if left is None else Change({"num_groups": len(left)})


@ties("GroupNormalization", retune=_norm_groups)
def group_normalization(call: Call) -> None:
    """The channels that are averaged together go together."""
    count = int(call.attr("num_groups"))
    own = call.own(count)
    channels = call.size(call.x, 1)
    for axis in range(2, call.rank(call.x)):
        call.pin(call.x, axis, "GroupNormalization averages over it")
    others(call, call.x, call.y, set())
    for tensor, axis in ((call.x, 1), *((call.inputs[p], 0) for p in (1, 2))):
        size = call.size(tensor, axis)
        call.sites.tie_at(call.axes(tensor)[axis], index(size), own, index(size) // (size // count))
    for position in (1, 2):
        if call.size(call.inputs[position], 0) == channels:
            call.same(call.inputs[position], 0, call.x, 1)
        call.role(position, 0, Role.FOLLOWER)
