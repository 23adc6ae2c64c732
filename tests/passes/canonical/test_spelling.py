import numpy as np
import pytest

import graphopt
from passes.canonical import add_negated, multiply_negated, positive_axes, subtract_negated, sum_of_two
from tests.support import apply, fires, refuses

TWO = "m (float[N, 3] x, float[N, 3] z) => (float[N, 3] y{more}) {{ {body} }}"


def two(body, more=""):
    return TWO.format(body=body, more=more)


@pytest.mark.parametrize("body", ["n = Neg(z)  y = Add(x, n)", "n = Neg(z)  y = Add(n, x)"])
def test_sum_with_a_negation(body):
    model = fires(add_negated, two(body), leaves=["Sub"])
    assert [tensor.name for tensor in model.graph.nodes[0].inputs] == ["x", "z"]


def test_difference_with_a_negation():
    fires(subtract_negated, two("n = Neg(z)  y = Sub(x, n)"), leaves=["Add"])


@pytest.mark.parametrize(
    "body", ["n = Neg(x)  y = Mul(n, c)", "n = Neg(x)  y = Mul(c, n)", "n = Mul(x, c)  y = Neg(n)"]
)
@pytest.mark.parametrize("c", [2.0, [0.0, -1.5, 3.0]])
def test_product_with_a_negation(body, c):
    model = fires(multiply_negated, two(body), {"c": np.float32(c)}, leaves=["Mul"])
    assert np.array_equal(model.graph.nodes[0].inputs[1].values, -np.float32(c))


def test_product_of_integers_with_a_negation():
    fires(
        multiply_negated, two("n = Neg(x)  y = Mul(n, c)").replace("float", "int64"), {"c": np.int64(3)}, leaves=["Mul"]
    )


def test_negations_that_others_read_stay():
    refuses(add_negated, two("n = Neg(z)  y = Add(x, n)", ", float[N, 3] n"))
    refuses(multiply_negated, two("n = Neg(z)  y = Mul(n, c)", ", float[N, 3] n"), {"c": np.float32(2)})


def test_negations_on_the_left_of_a_difference_stay():
    refuses(subtract_negated, two("n = Neg(z)  y = Sub(n, x)"))


def test_sum_of_two():
    fires(sum_of_two, two("y = Sum(x, z)"), leaves=["Add"])


def test_sum_of_three_stays():
    refuses(sum_of_two, two("y = Sum(x, z, x)"))


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ReduceLogSumExp"])
def test_axes_count_from_the_front(op):
    text = f"m (float[N, 3, 4] x) => (float[N, 1, 1] y) <int64[2] a = {{-1, 1}}> {{ y = {op}(x, a) }}"
    model = fires(positive_axes, text, leaves=[op])
    assert model.graph.nodes[0].inputs[1].values.tolist() == [1, 2]


def test_axes_that_are_attributes():
    text = """<ir_version: 6, opset_import: ["" : 11]> m (float[N, 3, 4] x) => (float[N, 3] y)
    { y = ReduceMean<axes=[-1], keepdims=0>(x) }"""
    model = fires(positive_axes, text, leaves=["ReduceMean"])
    assert model.graph.nodes[0].attrs == {"axes": [2], "keepdims": 0}


def test_axes_stay_if_the_rank_is_unknown():
    text = """m (float[N, M] x, int64[K] s) => (float y) <int64[1] a = {-1}>
    { p = Reshape(x, s)  q = ReduceSum(p, a)  y = ReduceSum<keepdims=0>(q) }"""
    refuses(positive_axes, text, reason="unknown")


@pytest.mark.parametrize("axis", [0, 1])
def test_axes_that_count_from_the_front_stay(axis):
    text = f"m (float[N, 3] x) => (float[K, M] y) <int64[1] a = {{{axis}}}> {{ y = ReduceSum(x, a) }}"
    refuses(positive_axes, text, reason="no axis")


def test_everything_together_and_nothing_the_second_time():
    text = """m (float[N, 3] x) => (float[N, 1] y) <int64[1] a = {-1}> {
        p = Sub(x, c)
        q = Div(p, d)
        r = Mul(c, q)
        s = Neg(r)
        t = Sum(s, x)
        u = ReduceMean(t, a)
        v = Sub(u, d)
        y = Sub(v, d)
    }"""
    first = apply("canonical", text, {"c": np.float32(1.5), "d": np.float32(4)})
    assert [node.op for node in first.model.graph.nodes] == ["Add", "Mul", "Add", "ReduceMean", "Add"]
    message = first.model.to_proto()
    second = graphopt.optimize(message, passes="canonical").model.to_proto()
    assert second.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)
