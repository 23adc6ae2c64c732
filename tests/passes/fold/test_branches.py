import numpy as np
import onnx
import pytest

import graphopt
from graphopt.ir import walk
from passes.fold import FOLD
from tests.support import apply, fires, operators, proto

TWO = """y = If (c) <then_branch = t () => (float[4] p) { a = Exp(x) p = Neg(a) },
                    else_branch = e () => (float[4] q) { b = Abs(x) q = Relu(b) }>"""


@pytest.mark.parametrize(("value", "leaves"), [(True, ["Exp", "Neg"]), (False, ["Abs", "Relu"])])
def test_the_branch_that_is_taken_stands_in_the_place_of_the_if(value, leaves):
    fires(FOLD, f"g (float[4] x) => (float[4] y) {{ {TWO} }}", {"c": np.bool_(value)}, leaves=leaves)


def test_a_condition_on_known_dimensions():
    text = f"g (float[4] x) => (float[4] y) {{ n = Size(x) four = Constant<value_int=4>() c = Equal(n, four) {TWO} }}"
    fires(FOLD, text, leaves=["Exp", "Neg"])


def test_a_condition_that_is_not_known():
    result = apply(FOLD, f"g (bool c, float[4] x) => (float[4] y) {{ {TWO} }}")
    assert not result.report.rewrites
    assert "not constant" in result.report.refusals[0].reason


def test_names_stay_where_they_are_unique_and_differ_where_branches_share_them():
    text = """g (float[4] x) => (float[4] y, float[4] z) {
        y = If (c) <then_branch = t () => (float[4] p) { a = Exp(x) p = Neg(a) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
        z = If (c) <then_branch = t () => (float[4] p) { a = Abs(x) b = Exp(a) p = Sqrt(b) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
    }"""
    model = fires(FOLD, text, {"c": np.bool_(True)}, leaves=["Exp", "Neg", "Abs", "Exp", "Sqrt"])
    names = [tensor.name for node in model.graph.nodes for tensor in node.outputs]
    assert len(set(names)) == len(names)
    assert "b" in names


def test_nodes_get_names_of_their_own_too():
    text = """g (float[4] x) => (float[4] y, float[4] z) {
        y = If (c) <then_branch = t () => (float[4] p) { [n] p = Exp(x) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
        z = If (c) <then_branch = t () => (float[4] p) { [n] p = Neg(x) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
    }"""
    model = fires(FOLD, text, {"c": np.bool_(True)}, leaves=["Exp", "Neg"])
    assert len({node.name for node in model.graph.nodes}) == 2


def test_captures_of_graphs_inside_the_branch():
    text = """g (bool d, float[4] x) => (float[4] y) {
        y = If (c) <then_branch = t () => (float[4] p) {
                a = Exp(x)
                p = If (d) <then_branch = tt () => (float[4] r) { r = Add(a, x) },
                            else_branch = ee () => (float[4] s) { s = Identity(a) }>
            }, else_branch = e () => (float[4] q) { q = Abs(x) }>
    }"""
    model = fires(FOLD, text, {"c": np.bool_(True)}, leaves=["Exp", "If"])
    assert sorted(node.op for node in walk.nodes(model.graph)) == ["Add", "Exp", "Identity", "If"]


def test_branches_in_branches():
    text = """g (float[4] x) => (float[4] y) {
        y = If (c) <then_branch = t () => (float[4] p) {
                a = Exp(x)
                b = If (c) <then_branch = tt () => (float[4] r) { r = Sqrt(a) },
                            else_branch = ee () => (float[4] s) { s = Abs(a) }>
                p = Neg(b)
            }, else_branch = e () => (float[4] q) { q = Abs(x) }>
    }"""
    fires(FOLD, text, {"c": np.bool_(True)}, leaves=["Exp", "Sqrt", "Neg"])


def outer_tensor_returned(text, name):
    """A model whose first If has a branch that is nothing but a tensor from outside; the runtime does not take it."""
    model = proto(text, {"c": np.bool_(True)})
    branch = next(node for node in model.graph.node if node.op_type == "If").attribute[0].g
    del branch.node[:]
    branch.output[0].name = name
    return graphopt.optimize(model, passes=[FOLD], verify="structure").model


OUTER = """b = If (c) <then_branch = t () => (float[4] p) { p = Abs(x) },
                       else_branch = e () => (float[4] q) { q = Abs(x) }>"""


def test_a_branch_that_returns_an_outer_tensor():
    text = f"g (float[4] x) => (float[4] y) {{ a = Exp(x) {OUTER} y = Neg(b) }}"
    assert operators(outer_tensor_returned(text, "a")) == {"Exp": 1, "Neg": 1}


def test_a_branch_that_returns_an_outer_tensor_as_the_result():
    model = outer_tensor_returned(f"g (float[4] x) => (float[4] b) {{ {OUTER} }}", "x")
    assert operators(model) == {"Identity": 1}
    assert [tensor.name for tensor in model.graph.outputs] == ["b"]


def test_constants_declared_in_the_branch():
    text = """g (float[4] x) => (float[4] y, float[4] z) {
        y = If (c) <then_branch = t () => (float[4] p) <float[4] w = {1, 2, 3, 4}> { p = Add(x, w) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
        z = If (c) <then_branch = t () => (float[4] p) <float[4] w = {5, 6, 7, 8}> { p = Add(x, w) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
    }"""
    model = fires(FOLD, text, {"c": np.bool_(True)}, leaves=["Add", "Add"])
    held = [tensor.values.tolist() for node in model.graph.nodes for tensor in node.inputs[1:]]
    assert held == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_random_numbers_in_a_branch_stay_random():
    text = """g (float[4] x) => (float[4] y) {
        y = If (c) <then_branch = t () => (float[4] p) { r = RandomNormalLike(x) p = Add(x, r) },
                    else_branch = e () => (float[4] q) { q = Abs(x) }>
    }"""
    result = graphopt.optimize(proto(text, {"c": np.bool_(True)}), passes=[FOLD])
    assert operators(result.model) == {"RandomNormalLike": 1, "Add": 1}
    assert result.report.unverified


LOOP = """y = Loop (count, go, x) <body = b (int64 i, bool keep, float[4] a) => (bool k, float[4] z) {
    k = Identity(keep) z = Exp(a)
}>"""


@pytest.mark.parametrize(("count", "go"), [(0, True), (-1, True), (5, False)])
def test_a_loop_that_never_runs_goes(count, go):
    text = f"g (float[4] x) => (float[4] r) {{ {LOOP} r = Neg(y) }}"
    fires(FOLD, text, {"count": np.int64(count), "go": np.bool_(go)}, leaves=["Neg"])


def test_a_loop_that_carries_one_tensor_twice():
    text = """g (float[4] x) => (float[4] y, float[4] z) {
        w = Exp(x)
        y, z = Loop (count, , w, w) <body = b (int64 i, bool keep, float[4] a, float[4] b)
                => (bool k, float[4] c, float[4] d) {
            k = Identity(keep) c = Exp(a) d = Neg(b)
        }>
    }"""
    model = fires(FOLD, text, {"count": np.int64(0)}, leaves=["Exp", "Identity"])
    assert [tensor.name for tensor in model.graph.outputs] == ["y", "z"]


def test_a_loop_that_runs_stays():
    text = f"g (float[4] x) => (float[4] r) {{ {LOOP} r = Neg(y) }}"
    result = apply(FOLD, text, {"count": np.int64(2), "go": np.bool_(True)})
    assert operators(result.model) == {"Loop": 1, "Neg": 1}


def test_a_loop_that_never_runs_but_collects_stays():
    text = """g (float[4] x) => (float[N, 4] y) {
        z, y = Loop (count, go, x) <body = b (int64 i, bool keep, float[4] a) => (bool k, float[4] z, float[4] s) {
            k = Identity(keep) z = Exp(a) s = Neg(a)
        }>
    }"""
    result = apply(FOLD, text, {"count": np.int64(0), "go": np.bool_(True)})
    assert operators(result.model) == {"Loop": 1}


def test_results_are_valid_models():
    model = fires(FOLD, f"g (float[4] x) => (float[4] y) {{ {TWO} }}", {"c": np.bool_(True)}, leaves=["Exp", "Neg"])
    onnx.checker.check_model(model.to_proto(), full_check=True)
