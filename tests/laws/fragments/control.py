"""If and Loop, with captures."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.laws.fragments.builder import Builder, Impossible, Value
from tests.laws.fragments.elementwise import cast, unary, with_constant
from tests.laws.fragments.movement import again, dropout, entry, shape_arithmetic
from tests.laws.fragments.spelled import swish


def branch(g: Builder) -> None:
    style = g.rng.random()
    if style < 0.5:
        condition = g.const(np.array(g.chance(0.5)), bool)
    elif style < 0.75:
        condition = g.feed([], np.bool_)
    else:
        x = g.pick(lambda v: v.rank >= 1)
        size = entry(g, g.emit("Shape", [x], exact=True), g.rng.randrange(x.rank), scalar=True)
        condition = g.emit("Equal", [size, g.const(g.rng.choice([1, 2, 3]), np.int64, plain=True)], exact=True)
    x = g.float()
    graphs = []
    for _ in range(2):
        child = g.child()
        y = child.emit(g.rng.choice(["Relu", "Neg", "Identity", "Sigmoid"]), [x])
        for _ in range(g.rng.choice([0, 1, 2])):
            child.attempt(g.rng.choice([with_constant, swish, again, dropout, cast, unary, shape_arithmetic]))
        candidates = [v for v in child.values if v.dtype == x.dtype and any(v.name in n.output for n in child.nodes)]
        graphs.append(child.body([g.rng.choice(candidates) if g.chance(0.5) else y]))
    g.emit("If", [condition], then_branch=graphs[0], else_branch=graphs[1])


def loop(g: Builder) -> None:
    x = g.float(0, 3)
    y = g.float(0, 3)
    child = g.child()
    step, go = Value(g.name("i"), (np.array(0),) * 2, constant=False), Value(g.name("go"), (np.array(True),) * 2)
    state = Value(g.name("s"), x.arrays, exact=x.exact)
    child.values += [state]
    new = child.emit("Add", [state, y])
    if any(a.shape != b.shape for a, b in zip(new.arrays, x.arrays, strict=True)):
        raise Impossible
    new = child.emit(g.rng.choice(["Tanh", "Sigmoid", "Identity"]), [new])
    child.nodes.append(helper.make_node("Identity", [go.name], [f"{go.name}_out"], name=g.name("n")))
    done = Value(f"{go.name}_out", go.arrays)
    body = child.body([done, new], [step, go, state])
    trips = g.const(np.array(g.rng.choice([0, 1, 2])), np.int64)
    g.emit("Loop", [trips, g.const(np.array(True), bool) if g.chance(0.7) else None, x], body=body)
