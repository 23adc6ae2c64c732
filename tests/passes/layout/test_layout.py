"""Transposes are pushed to where they cancel, and nowhere that moves more."""

import numpy as np
import pytest

import graphopt
from passes.layout import LAYOUT
from tests.bench import generate, networks
from tests.support import apply, fires, operators, proto, refuses

THERE, BACK = "Transpose <perm = [0, 2, 3, 1]>", "Transpose <perm = [0, 3, 1, 2]>"


def test_residual_blocks():
    text = f"""g (float[N,4,8,8] x) => (float[N,4,8,8] y) {{
        p = Relu (x) a = {THERE} (p) t = {BACK} (a) c = Conv (t, w) d = {THERE} (c) e = Add (a, d) r = Relu (e)
        u = {BACK} (r) f = Conv (u, w) h = {THERE} (f) s = Add (r, h) y = {BACK} (s) }}"""
    fires(LAYOUT, text, {"w": (4, 4, 1, 1)}, leaves=["Relu", "Conv", "Add", "Relu", "Conv", "Add"])


@pytest.mark.parametrize("perm", ["0, 0, 1, 2", "0, 3, 1, 9", "0, 2, 3, -3"])
@pytest.mark.parametrize("place", ["first", "second"])
def test_a_transpose_that_contradicts_itself_is_left_alone(perm, place):
    wrong = f"Transpose <perm = [{perm}]>"
    pair = (wrong, BACK) if place == "first" else (THERE, wrong)
    text = f"g (float[N,4,8,8] x) => (float[N,4,8,8] y) {{ a = {pair[0]} (x) b = Relu (a) y = {pair[1]} (b) }}"
    model = graphopt.optimize(proto(text), passes=[LAYOUT], verify="off").model
    assert [node.op for node in model.graph.nodes] == ["Transpose", "Relu", "Transpose"]


def test_what_is_pooled_is_turned_after_pooling():
    text = f"""g (float[N,4,8,8] x) => (float[N,1,1,4] y) {{ a = {THERE} (x) b = Relu (a) y = ReduceMean (b, axes) }}"""
    model = fires(LAYOUT, text, {"axes": np.array([1, 2])}, leaves=["Relu", "ReduceMean", "Transpose"])
    assert [node.op for node in model.graph.nodes] == ["Relu", "ReduceMean", "Transpose"]


def test_what_is_repeated_is_turned_before():
    text = f"""g (float[N,4,8,8] x) => (float[N,16,16,4] y) {{ a = Tile (x, times) b = Abs (a) y = {THERE} (b) }}"""
    model = fires(LAYOUT, text, {"times": np.array([1, 1, 2, 2])}, leaves=["Transpose", "Tile", "Abs"])
    assert model.graph.nodes[0].op == "Transpose"


def test_one_small_transpose_is_not_made_two():
    text = f"""g (float[N,4,1,1] x, float[N,4,1,1] z) => (float[N,1,1,4] y) {{ a = Add (x, z) y = {THERE} (a) }}"""
    refuses(LAYOUT, text, reason="would move no less")


def test_a_large_transpose_is_not_made_for_the_sake_of_two_small_ones():
    text = f"""g (float[N,4,1,1] x, float[N,4,1,1] z, float[N,16,16,4] w) => (float[N,16,16,4] y) {{
        a = {THERE} (x) b = {THERE} (z) c = Add (a, b) y = Add (c, w) }}"""
    model = fires(LAYOUT, text, leaves=["Add", "Transpose", "Add"])
    assert [node.op for node in model.graph.nodes] == ["Add", "Transpose", "Add"]


def test_others_that_need_the_value_as_it_is_keep_it():
    text = f"""g (float[N,4,8,8] x) => (float[N,8,8,4] y, float[N,4,8,8] z) {{
        a = {THERE} (x) y = Relu (a) z = {BACK} (y) }}"""
    model = fires(LAYOUT, text, leaves=["Relu", "Transpose"])
    assert [tensor.name for tensor in model.graph.outputs] == ["y", "z"]


def test_large_constants_that_others_read_are_not_doubled():
    text = f"""g (float[1,4,64,64] x) => (float[1,4,64,64] y, float[1,64,64,4] z) {{
        a = {THERE} (x) b = Add (a, w) y = {BACK} (b) z = Neg (w) }}"""
    refuses(LAYOUT, text, {"w": (1, 64, 64, 4)}, reason="large and used elsewhere")


def test_other_permutations_cancel_too():
    text = """g (float[A,B,C] x) => (float[A,B,C] y) { a = Transpose <perm = [2, 0, 1]> (x) b = Exp (a)
        c = Transpose <perm = [2, 0, 1]> (b) d = Abs (c) y = Transpose <perm = [2, 0, 1]> (d) }"""
    fires(LAYOUT, text, leaves=["Exp", "Abs"])


def test_inside_a_branch():
    text = f"""g (bool c, float[2,4,8,8] x) => (float[2,4,8,8] y) {{
        y = If (c) <then_branch = t () => (float[2,4,8,8] p) {{ a = {THERE} (x) b = Relu (a) p = {BACK} (b) }},
                    else_branch = e () => (float[2,4,8,8] q) {{ q = Neg (x) }}> }}"""
    result = apply(LAYOUT, text)
    assert "Transpose" not in result.report.after.operators


def test_a_transpose_whose_rank_is_unknown_is_left_alone():
    text = """g (float x, int64[n] s) => (float y) {
        a = Reshape (x, s) b = Transpose (a) c = Relu (b) y = Transpose (c) }"""
    result = graphopt.optimize(proto(text), passes=[LAYOUT], verify="off")
    assert operators(result.model) == {"Reshape": 1, "Transpose": 2, "Relu": 1}


def test_a_second_run_finds_nothing():
    once = graphopt.optimize(networks.keras_residual(), passes="fold,layout,clean", verify="off").model
    again = graphopt.optimize(once, passes=[LAYOUT], verify="off").report
    assert not again.rewrites


PIPELINE = "clean,fix(canonical,fold,fuse,clean,layout)"


@pytest.mark.parametrize(
    ("network", "left"),
    [
        (networks.keras_mobilenet(), 1),
        (networks.keras_mobilenet(quantised=True), 1),
        (networks.keras_residual(), 2),
    ],
    ids=["mobilenet", "quantised", "residual"],
)
def test_exports_of_keras_are_turned_at_their_ends_only(network, left):
    result = graphopt.optimize(network, passes=PIPELINE, verify="full")
    report = result.report
    assert not report.rolled_back
    assert not report.unverified
    assert str(report.whole.status) == "verified"
    assert operators(result.model)["Transpose"] == left
    assert report.after.nodes < report.before.nodes
    assert report.after.weight_bytes <= report.before.weight_bytes
    without = graphopt.optimize(network, passes=PIPELINE.replace(",layout", ""), verify="off").report
    assert report.after.nodes < without.after.nodes


def test_large_graphs_take_one_region():
    model = generate.turned(2000)
    result = graphopt.optimize(model, passes=[LAYOUT], verify="off")
    assert operators(result.model)["Transpose"] == 0


def test_what_moves_before_a_constant_that_it_reads_is_put_behind_it():
    """Also next to nested graphs, for whose sake the nodes are put in order before each check."""
    text = f"""g (float[N,4,8,8] x, bool go) => (float[N,4,8,8] y, float z) {{
        a = {THERE} (x) s = Slice (a, first, last, axis) m = Mul (s, two) b = Add (m, a)
        c = Constant <value = float {{1.5}}> () d = Div (b, c) y = {BACK} (d)
        z = If (go) <then_branch = h () => (float o) {{ o = Constant <value = float {{1.0}}> () }},
                     else_branch = k () => (float q) {{ q = Constant <value = float {{2.0}}> () }}> }}"""
    numbers = {"first": np.array([3]), "last": np.array([4]), "axis": np.array([3]), "two": np.float32([2])}
    fires(LAYOUT, text, numbers, leaves=["Slice", "Mul", "Add", "Constant", "Div", "If"])
