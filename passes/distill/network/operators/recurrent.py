"""LSTM, GRU and RNN, a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from passes.distill.network.call import Call, Given, Operator

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Softsign": functional.softsign,
    "Softplus": functional.softplus,
}  # fmt: skip

State = tuple[Tensor, ...]
Cell = Callable[[Tensor, State], State]
"""From what the inputs give to the gates, and the state, to the next state; its first tensor is the output."""


def _lstm(call: Call, acts: list[Callable[[Tensor], Tensor]], r: Tensor, b: Tensor) -> Cell:
    gate, cell, out = acts

    def step(given: Tensor, state: State) -> State:
        h, c = state
        i, o, f, g = (given + h @ r.T + b).chunk(4, dim=-1)
        f = 1 - gate(i) if call.attr("input_forget", 0) else gate(f)
        c = f * c + gate(i) * cell(g)
        return gate(o) * out(c), c

    return step


def _gru(call: Call, acts: list[Callable[[Tensor], Tensor]], r: Tensor, b: Tensor) -> Cell:
    gate, hidden = acts
    rz, rh = r.tensor_split([2 * r.shape[-1]])
    bz, bh = b.tensor_split([2 * r.shape[-1]])
    before = bool(call.attr("linear_before_reset", 0))

    def step(given: Tensor, state: State) -> State:
        (h,) = state
        from_z, from_h = given.tensor_split([2 * h.shape[-1]], dim=-1)
        z, reset = gate(from_z + h @ rz.T + bz).chunk(2, dim=-1)
        mixed = reset * (h @ rh.T + bh) if before else (reset * h) @ rh.T + bh
        return ((1 - z) * hidden(from_h + mixed) + z * h,)

    return step


def _rnn(_call: Call, acts: list[Callable[[Tensor], Tensor]], r: Tensor, b: Tensor) -> Cell:
    return lambda given, state: (acts[0](given + state[0] @ r.T + b),)


KINDS: Mapping[str, tuple[Callable[..., Cell], tuple[str, ...], int]] = {
    "LSTM": (_lstm, ("Sigmoid", "Tanh", "Tanh"), 2),
    "GRU": (_gru, ("Sigmoid", "Tanh"), 1),
    "RNN": (_rnn, ("Tanh",), 1),
}
"""What makes a cell, its usual activations, and how many tensors its state has."""


def _recurrent(
    call: Call,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Given = None,
    lengths: Given = None,
    h: Given = None,
    c: Given = None,
    peepholes: Given = None,
) -> tuple[Tensor, ...]:
    make, usual, states = KINDS[call.node.op]
    call.require(peepholes is None and "clip" not in call.node.attrs, "peepholes or clipped cells")
    directions, hidden = r.shape[0], r.shape[2]
    chosen = call.attr("activations", list(usual) * directions)
    call.require(all(name in ACTIVATIONS for name in chosen), f"the activations {chosen}")
    if call.attr("layout", 0):
        x, h, c = (None if one is None else one.transpose(0, 1) for one in (x, h, c))
    call.require(lengths is None or bool((lengths == len(x)).all()), "sequences of different lengths")
    bias = r.new_zeros(directions, 2 * r.shape[1]) if b is None else b
    begin = [r.new_zeros(directions, x.shape[1], hidden) if one is None else one for one in (h, c)[:states]]
    outputs, ends = [], []
    for d in range(directions):
        acts = [ACTIVATIONS[name] for name in chosen[d * len(usual) : (d + 1) * len(usual)]]
        from_x, from_h = bias[d].chunk(2)
        step = make(call, acts, r[d], from_h)
        backwards = d == 1 or call.attr("direction", "forward") == "reverse"
        given = functional.linear(x.flip(0) if backwards else x, w[d], from_x)
        state: State = tuple(one[d] for one in begin)
        seen = []
        for time in given:
            state = step(time, state)
            seen.append(state[0])
        outputs.append(torch.stack(seen[::-1] if backwards else seen))
        ends.append(state)
    found = (torch.stack(outputs, 1), *(torch.stack(parts) for parts in zip(*ends, strict=True)))
    if call.attr("layout", 0):
        return (found[0].permute(2, 0, 1, 3), *(one.transpose(0, 1) for one in found[1:]))
    return found


OPERATORS: Mapping[str, Operator] = dict.fromkeys(KINDS, _recurrent)
