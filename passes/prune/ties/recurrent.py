"""Recurrent layers: a hidden unit has a row in each gate, a column of the recurrence, and a place in the states."""

from __future__ import annotations

from passes.prune.ties.call import Call, Change, Kept, index, ties
from passes.prune.ties.role import Role, Untold

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _hidden(call: Call, kept: Kept) -> Change:
    left = kept.own(call.node)
    return Change() if left is None else Change({"hidden_size": len(left)})


@ties(*GATES, retune=_hidden)
def recurrent(call: Call) -> None:
    """Both directions have the same number of units: a unit goes from both."""
    if not (call.weight(1) and call.weight(2)):
        raise Untold("its weights are computed; the pass fold makes constants of them")
    units = call.size(call.inputs[2], 2)
    own = call.own(units)
    call.sites.mark(own, "hidden")
    for tensor in (*call.inputs, *call.outputs):
        for axis in range(call.rank(tensor) - 1) if tensor.name else ():
            if (tensor, axis) not in ((call.inputs[1], 1), (call.inputs[2], 1)):
                call.pin(tensor, axis, f"{call.node.op} works along it")
    if call.has(4):
        call.pin_all(f"{call.node.op} has as many sequences", [call.inputs[4]])
    call.same(call.x, 2, call.inputs[1], 2)
    for position, axis in ((1, 1), (2, 1), (2, 2), (3, 1), (5, 2), (6, 2), (7, 1)):
        if call.has(position):
            tensor = call.inputs[position]
            rows = call.size(tensor, axis)
            call.sites.tie_at(call.axes(tensor)[axis], index(rows), own, index(rows) % units)
            call.role(position, axis, Role.FOLLOWER)
    for tensor in call.outputs:
        if tensor.name:
            call.sites.tie(call.axes(tensor)[-1], own)
    for position, axis, role in (
        (1, 1, Role.PRODUCER),
        (2, 1, Role.PRODUCER),
        (1, 2, Role.CONSUMER),
        (2, 2, Role.CONSUMER),
    ):
        call.role(position, axis, role)
