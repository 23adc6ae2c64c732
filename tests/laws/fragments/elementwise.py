"""Arithmetic, activations, comparisons and casts."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.laws.fragments.builder import Builder, Impossible

BINARY = ("Add", "Add", "Mul", "Mul", "Sub", "Div", "Max", "Min", "Sum")
UNARY = (
    "Relu", "Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Erf", "Softplus", "Exp", "Softsign", "HardSigmoid", "Elu",
    "LeakyRelu", "Identity", "Sqrt", "Log", "Reciprocal", "Ceil", "Not", "Sign", "HardSwish", "Mish", "Gelu", "Selu",
    "Sin", "Round",
)  # fmt: skip
EXACT = {"Relu", "Neg", "Abs", "Identity", "Not", "Max", "Min", "Sign"}
STEPPED = {"Ceil", "Round", "Sign", "Floor"}


def unary(g: Builder) -> None:
    op = g.rng.choice(UNARY)
    x = g.pick(lambda v: (v.exact or not v.floating) if op in STEPPED else True)
    for _ in range(g.rng.choice([1, 1, 1, 2])):
        x = g.emit(op, [x], exact=op in EXACT)


def binary(g: Builder) -> None:
    x, y = g.pick(), g.pick()
    g.emit(g.rng.choice(BINARY), [x, y])


def with_constant(g: Builder) -> None:
    x = g.pick(lambda v: v.dtype != np.bool_)
    for _ in range(g.rng.choice([1, 1, 2, 3])):
        pair = [x, g.operand(x)]
        if g.chance(0.4):
            pair.reverse()
        x = g.emit(g.rng.choice(BINARY), pair, exact=False)


def power(g: Builder) -> None:
    x = g.float()
    g.emit("Pow", [x, g.const(g.rng.choice([2.0, 3.0, 1.0, 0.0, 0.5]), x.dtype)])


def same_twice(g: Builder) -> None:
    x = g.pick()
    g.emit(g.rng.choice(["Add", "Mul", "Sub", "Max", "Min", "Concat"]), [x, x])


def clip(g: Builder) -> None:
    x = g.float()
    for _ in range(g.rng.choice([1, 2])):
        bounds = [
            g.const(v, x.dtype) if g.chance(0.8) else None
            for v in (g.rng.choice([0.0, -1.0]), g.rng.choice([6.0, 0.5, -2.0]))
        ]
        if bounds[-1] is None:
            bounds.pop()
        x = g.emit("Clip", [x, *bounds], exact=True)


def minmax(g: Builder) -> None:
    x = g.float()
    ops = ["Max", "Min"] if g.chance(0.5) else ["Min", "Max"]
    low, high = g.rng.choice([0.0, -1.0]), g.rng.choice([6.0, 0.5, -2.0])
    for op in ops:
        x = g.emit(op, [x, g.number(low if op == "Max" else high, x)], exact=True)


def cast(g: Builder) -> None:
    x = g.pick()
    for _ in range(g.rng.choice([1, 2, 3])):
        kinds = [g.dtype, np.float32, np.float64, np.float16, np.int64, np.int32, np.bool_, np.uint8, np.int8]
        to = np.dtype(g.rng.choice(kinds if x.exact or not x.floating else kinds[:4]))
        if x.floating and to.kind == "u":
            raise Impossible
        x = g.emit("Cast", [x], to=helper.np_dtype_to_tensor_dtype(to), exact=True)


def compare_and_choose(g: Builder) -> None:
    x = g.pick(lambda v: v.exact and v.dtype != np.bool_)
    condition = g.emit(g.rng.choice(["Equal", "Less", "Greater"]), [x, g.operand(x)], exact=True)
    if g.chance(0.3):
        condition = g.emit("Not", [condition], exact=True)
    a = g.pick(lambda v: v.rank <= x.rank)
    g.emit("Where", [condition, a, g.operand(a)], exact=True)


def where_constant(g: Builder) -> None:
    x = g.pick()
    shape = [d if d is not None and g.chance(0.5) else 1 for d in x.sizes]
    mask = np.full(shape, g.chance(0.5)) if g.chance(0.7) else g.draw(shape, bool)
    pair = [x, g.operand(x)]
    if g.chance(0.5):
        pair.reverse()
    g.emit("Where", [g.const(mask, bool), *pair], exact=True)


def logic(g: Builder) -> None:
    x = g.pick(lambda v: v.dtype == np.bool_)
    y = g.const(np.full((1,) * g.rng.randrange(x.rank + 1), g.chance(0.5)), bool)
    g.emit(g.rng.choice(["And", "Or", "Xor"]), [x, y], exact=True)
