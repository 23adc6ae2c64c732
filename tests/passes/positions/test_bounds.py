"""Between which numbers a tensor lies, seen through a rule that asks for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphopt import Value, op
from graphopt.analysis.shapes import Shapes
from graphopt.ir.edit import Editor
from graphopt.ir.reader import load
from graphopt.rewrite.match import Matcher
from passes.positions.bounds import bounds, uniform
from tests.support import proto

x = Value("x")
WEIGHTS = {
    "zero": np.int64(0),
    "one": np.int64(1),
    "five": np.int64(5),
    "few": np.array([2, -3], np.int64),
    "zeros": np.zeros((1, 6), np.int64),
    "start": np.array([0]),
    "true": np.array([True]),
    "huge": np.zeros(5000, np.int64),
    "nan": np.array([np.nan], np.float32),
}
CASES = [
    ("y = Identity(few)", (-3, 2)),
    ("y = Shape(x)", (0, math.inf)),
    ("n = Size(x) r = Range(zero, n, one) y = Unsqueeze(r, start)", (0, math.inf)),
    ("y = Range(one, five, one)", (1, 5)),
    ("n = Size(x) y = Range(zero, n, k)", None),
    ("s = Shape(x) y = ConstantOfShape(s)", (0, 0)),
    ("s = Shape(x) o = ConstantOfShape<value = int64[1] {7}>(s) y = Mul(o, few)", (-21, 14)),
    ("s = Shape(x) e = Expand(zeros, s) y = GatherElements<axis = 0>(e, x)", (0, 0)),
    ("s = Shape(x) y = Sub(few, s)", (-math.inf, 2)),
    ("a = Abs(few) n = Neg(a) y = Add(n, few)", (-6, 2)),
    ("y = Min(few, one)", (-3, 1)),
    ("y = Max(few, one)", (1, 2)),
    ("y = Concat<axis = 0>(few, start)", (-3, 2)),
    ("s = Shape(x) y = GreaterOrEqual(s, zero)", (1, 1)),
    ("s = Shape(x) y = Less(s, zero)", (0, 0)),
    ("s = Shape(x) y = Greater(s, zero)", (0, 1)),
    ("s = Shape(x) g = GreaterOrEqual(s, zero) y = Not(g)", (0, 0)),
    ("s = Shape(x) g = GreaterOrEqual(s, zero) l = LessOrEqual(s, five) y = And(g, l)", (0, 1)),
    ("s = Shape(x) g = GreaterOrEqual(s, zero) e = Equal(x, zero) y = Or(e, g)", (1, 1)),
    ("y = Equal(one, five)", (0, 0)),
    ("e = Equal(x, zero) c = Cast<to = 7>(e) y = CumSum(c, zero)", (0, math.inf)),
    ("e = Equal(x, zero) y = Where(e, few, five)", (-3, 5)),
    ("y = Where(true, few, five)", (-3, 2)),
    ("y = Cast<to = 9>(few)", (0, 1)),
    ("f = Cast<to = 1>(one) y = Log(f)", (0, 0)),
    ("f = Cast<to = 1>(few) y = Log(f)", None),
    ("y = Cast<to = 9>(five)", (1, 1)),
    ("s = Shape(x) y = Cast<to = 6>(s)", None),
    ("s = Shape(x) y = Cast<to = 1>(s)", None),
    ("y = Identity(huge)", None),
    ("y = Identity(nan)", None),
    ("y = Identity(x)", None),
    ("m = MatMul(x, x) y = Neg(m)", None),
]


def found(body: str):
    """What is known of y, and the nodes that it follows from."""
    model = load(proto(f"g (int64[N, 6] x, int64 k) => (float[?] z) {{ {body} z = Shrink(y) }}", WEIGHTS))
    root = model.graph.nodes[-1]
    match = next(Matcher(Editor(model), Shapes(model)).matches(op.Shrink(x), root))
    return bounds(match, match[x]), match


@pytest.mark.parametrize(("body", "wanted"), CASES, ids=[body for body, _ in CASES])
def test_bounds(body: str, wanted: tuple[float, float] | None):
    assert found(body)[0] == wanted


def test_what_is_concluded_from_is_checked_with_the_match():
    _, match = found("s = Shape(x) e = Expand(zeros, s) i = Neg(x) y = GatherElements<axis = 0>(e, i)")
    assert [node.op for node in match.nodes] == ["Shrink", "GatherElements", "Expand"]


def test_uniform_is_one_finite_number():
    _, match = found("s = Shape(x) y = ConstantOfShape<value = int64[1] {7}>(s)")
    assert uniform(match, match[x]) == 7
    _, match = found("y = Shape(x)")
    assert uniform(match, match[x]) is None
