from __future__ import annotations

import pytest

from passes.fuse.activation import mish, sigmoid, softplus, softsign
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

MISH = ["s = Softplus(x) t = Tanh(s) y = Mul(x, t)", "s = Softplus(x) t = Tanh(s) y = Mul(t, x)"]
SOFTPLUS = [
    "e = Exp(x) a = Add(e, 1.0) y = Log(a)",
    "e = Exp(x) a = Add(1.0, e) y = Log(a)",
    "b = Abs(x) n = Neg(b) e = Exp(n) a = Add(e, 1.0) l = Log(a) r = Relu(x) y = Add(r, l)",
    "b = Abs(x) n = Neg(b) e = Exp(n) a = Add(e, 1.0) l = Log(a) r = Max(x, 0.0) y = Add(l, r)",
]
SIGMOID = [
    "n = Neg(x) e = Exp(n) a = Add(e, 1.0) y = Div(1.0, a)",
    "n = Mul(x, -1.0) e = Exp(n) a = Add(1.0, e) y = Reciprocal(a)",
]
SOFTSIGN = ["b = Abs(x) a = Add(b, 1.0) y = Div(x, a)", "b = Abs(x) a = Add(1.0, b) y = Div(x, a)"]
ALL = [
    (mish, MISH, "Mish"),
    (softplus, SOFTPLUS, "Softplus"),
    (sigmoid, SIGMOID, "Sigmoid"),
    (softsign, SOFTSIGN, "Softsign"),
]


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize(("rule", "bodies", "operator"), ALL)
def test_fire_on_every_spelling(rule, bodies, operator, dtype):
    fires(rule, spelled(*bodies, x=f"{dtype}[n, 8]"), leaves={operator: len(bodies)})


def test_sigmoid_fires_on_double():
    fires(sigmoid, spelled(SIGMOID[0], x="double[n, 8]"), leaves=["Sigmoid"])


@pytest.mark.parametrize(("rule", "body"), [(mish, MISH[0]), (softplus, SOFTPLUS[0]), (softsign, SOFTSIGN[0])])
def test_refuse_double_which_no_cpu_runs(rule, body):
    refuses(rule, spelled(body, x="double[8]"), reason="no kernel")


@pytest.mark.parametrize(("rule", "bodies", "_"), ALL)
def test_refuse_numbers_of_which_nobody_knows_the_type(rule, bodies, _):
    text = spelled("f = my.Own(x) " + bodies[0].replace("(x", "(f")).replace('"" : 21', '"" : 21, "my" : 1')
    refuses(rule, text, reason="unknown or not floating")


def test_mish_refuses_before_opset_18():
    refuses(mish, spelled(MISH[0], opset=17), reason="needs opset 18")


@pytest.mark.parametrize("rule", [softplus, sigmoid, softsign])
def test_fire_in_old_opsets(rule):
    bodies, operator = next((bodies, operator) for one, bodies, operator in ALL if one is rule)
    fires(rule, spelled(bodies[0], opset=9), leaves=[operator])


@pytest.mark.parametrize(("rule", "body"), [(softplus, SOFTPLUS[0]), (sigmoid, SIGMOID[0]), (softsign, SOFTSIGN[0])])
def test_refuse_other_numbers_and_broadcasting_ones(rule, body):
    refuses(rule, spelled(body.replace("1.0", "1.1")))
    refuses(rule, spelled(body, x="float[8]", rank=2, y="float[1, 8]"), reason="more dimensions")


@pytest.mark.parametrize(
    ("rule", "body", "inner"),
    [(mish, MISH[0], "s"), (softplus, SOFTPLUS[0], "e"), (sigmoid, SIGMOID[0], "a"), (softsign, SOFTSIGN[0], "a")],
)
def test_refuse_values_used_elsewhere_or_returned(rule, body, inner):
    refuses(rule, spelled(body.replace("y = ", "z = ") + f" y = Add(z, {inner})"))
    refuses(rule, spelled(body).replace("8] y)", f"8] y, float[n, 3, 8] {inner})"))


@pytest.mark.parametrize(("rule", "body"), [(mish, MISH[0]), (softsign, SOFTSIGN[0])])
def test_refuse_two_different_inputs(rule, body):
    first = body.replace("(x)", "(z)", 1)
    refuses(rule, spelled(first, more="float[n, 3, 8] z"))
