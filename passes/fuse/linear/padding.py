"""What rules need to know of Pad, and of the padding of convolutions and pooling."""

from __future__ import annotations

from typing import Any

from graphopt.rewrite import Const, Match, Opt, Pattern, Value, op
from graphopt.rewrite.pattern import Node
from passes.fuse.linear.scaling import known

INPUTS_SINCE = 11
"""Before this opset Pad takes `pads` and `value` as attributes."""

amounts, number, axes = Value("pads"), Const("constant_value"), Value("axes")


def pad_of(x: Pattern) -> Node:
    """The pattern of a Pad of `x`, in every opset's spelling; to be used once in a rule's pattern."""
    return op.Pad(x, Opt(amounts), Opt(number), Opt(axes))


def spatial(m: Match, pad: Node, rank: int) -> tuple[list[int], list[int]]:
    """How much the matched Pad adds before and after each of the `rank - 2` spatial axes of its input.

    Refuses other modes than constant, amounts that are not known or negative, and padding of batch and channels.
    """
    m.require(m.attr(pad, "mode", "constant") == "constant", f"Pad has mode {m.attr(pad, 'mode')}")
    amount = m.known(amounts) if amounts in m else m.attr(pad, "pads")
    given = known(m, amount, "the amounts of padding are not known")
    where = known(m, m.known(axes), "the padded axes are not known").tolist() if axes in m else range(rank)
    half = len(where)
    m.require(len(given) == 2 * half, "the amounts of padding do not fit the axes")
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(where):
        before[axis], after[axis] = int(given[i]), int(given[half + i])
    m.require(not any(before[:2] + after[:2]), "Pad adds to the batch or the channels")
    m.require(min(before + after) >= 0, "Pad crops")
    return before[2:], after[2:]


def value(m: Match, pad: Node) -> float:
    """The number that the matched Pad fills in."""
    if m.opset < INPUTS_SINCE:
        return float(m.attr(pad, "value", 0.0))
    return float(m[number].reshape(-1)[0]) if number in m else 0.0


def enlarged(m: Match, call: Node, added: tuple[list[int], list[int]]) -> dict[str, Any]:
    """The attributes of the matched convolution or pooling, with `added` to its own padding.

    Refuses automatic padding, which depends on the size of the input.
    """
    m.require(m.attr(call, "auto_pad", "NOTSET") in {"NOTSET", "VALID"}, "the operator pads automatically")
    both = [*added[0], *added[1]]
    own = m.attr(call, "pads", [0] * len(both))
    own = own if m.attr(call, "auto_pad", "NOTSET") == "NOTSET" else [0] * len(both)
    m.require(len(own) == len(both), "Pad and the operator have different ranks")
    pads = [a + b for a, b in zip(own, both, strict=True)]
    return {**m[call].attrs, "auto_pad": None, "pads": pads}


def every_window_has_input(m: Match, pool: Node, pads: list[int]) -> None:
    """Refuses pooling some of whose windows might lie wholly in the padding `pads`."""
    kernel = m.attr(pool, "kernel_shape", [])
    m.require(not m.attr(pool, "ceil_mode", 0), "the last windows are cut off (ceil_mode)")
    m.require(set(m.attr(pool, "dilations", [1])) <= {1}, "the windows are dilated")
    m.require(len(pads) == 2 * len(kernel), "Pad and the operator have different ranks")
    fits = all(amount < size for amount, size in zip(pads, [*kernel, *kernel], strict=True))
    m.require(fits, "the padding is as large as the window")
