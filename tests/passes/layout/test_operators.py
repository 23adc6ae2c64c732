"""Each operator between two Transposes that undo each other: it runs in the other layout, and both are gone."""

import numpy as np
import pytest

from graphopt.analysis.inference import key_of
from passes.layout import LAYOUT
from passes.layout.axes import TABLE
from tests.support import apply, fires, operators, refuses

THERE, BACK = "perm = [0, 2, 3, 1]", "perm = [0, 3, 1, 2]"


def around(body, x="float[N,6,8,10]", y="float[A,B,C,D]", opset=21, more=""):
    """`body` computes b from a, which is x on NHWC."""
    header = f'<ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n'
    return header + f"g ({x} x{more}) => ({y} y) {{ a = Transpose <{THERE}> (x) {body} y = Transpose <{BACK}> (b) }}"


def ints(*values):
    return np.array(values, np.int64)


HELD = {
    "channel": (6,),
    "full": (1, 8, 10, 6),
    "number": np.float32(0.5),
    "axes": ints(1, 2),
    "last": ints(3),
    "one": ints(1),
    "two": ints(2),
    "starts": ints(1, -3),
    "ends": ints(7, 10000),
    "steps": ints(2, 1),
    "pads": ints(0, 1, 0, 2, 0, 0, 3, 0),
    "scales": np.array([1, 2, 3, 1], np.float32),
    "sizes": ints(2, 4, 5, 6),
    "picked": ints(3, 0, 3),
    "single": np.array(2, np.int64),
    "square": (6, 6),
    "scale": np.float32(0.1),
    "zero": np.uint8(7),
    "scales6": np.linspace(0.1, 0.4, 6, dtype=np.float32),
    "zeros6": np.arange(6, dtype=np.uint8),
    "times": ints(1, 2, 1, 3),
    "wide": ints(1, 8, 10, 6),
    "split": ints(2, 4),
    "low": np.float32(0),
    "high": np.float32(6),
}

CASES = {
    "Relu": "b = Relu (a)",
    "Sigmoid": "b = Sigmoid (a)",
    "Clip": "b = Clip (a, low, high)",
    "Add of a row": "b = Add (a, channel)",
    "Mul from the left": "b = Mul (full, a)",
    "PRelu": "b = PRelu (a, channel)",
    "a number": "b = Sub (a, number)",
    "itself": "b = Mul (a, a)",
    "Where": "c = Greater (a, number) b = Where (c, a, channel)",
    "Cast": "c = Cast <to = 10> (a) b = Cast <to = 1> (c)",
    "Softmax": "b = Softmax <axis = 1> (a)",
    "ReduceMean": "b = ReduceMean (a, axes)",
    "ReduceMax of all": "b = ReduceMax (a)",
    "CumSum": "b = CumSum (a, single)",
    "LpNormalization": "b = LpNormalization <axis = 3> (a)",
    "Concat": "c = Neg (a) b = Concat <axis = 3> (a, c, a)",
    "Concat with a constant": "c = Slice (a, one, two, one) d = Concat <axis = 3> (a, c1) b = Abs (d)",
    "Slice": "b = Slice (a, starts, ends, axes, steps)",
    "Slice of the first axes": "b = Slice (a, picked0, ends3)",
    "Pad": "b = Pad (a, pads, number)",
    "Pad of some axes": "b = Pad (a, pads2, number, axes)",
    "Resize by scales": 'b = Resize <mode = "nearest"> (a, , scales)',
    "Gather": "b = Gather <axis = 3> (a, picked)",
    "Tile": "b = Tile (a, times)",
    "MatMul": "c = Transpose <perm = [0, 2, 1, 3]> (a) d = MatMul (c, square) b = Transpose <perm = [0, 2, 1, 3]> (d)",
    "QuantizeLinear": "c = QuantizeLinear (a, scale, zero) b = DequantizeLinear (c, scale, zero)",
    "QuantizeLinear per channel": (
        "c = QuantizeLinear <axis = 3> (a, scales6, zeros6) b = DequantizeLinear <axis = -1> (c, scales6, zeros6)"
    ),
    "DynamicQuantizeLinear": "c, s, z = DynamicQuantizeLinear (a) b = DequantizeLinear (c, s, z)",
    "com.microsoft::QuickGelu": "b = com.microsoft.QuickGelu <alpha = 1.5> (a)",
    "Dropout": "b = Dropout (a)",
    "Identity of a chain": "c = Identity (a) d = Exp (c) b = Tanh (d)",
}
GIVEN = {
    **HELD,
    "picked0": ints(0, 2, 1),
    "ends3": ints(100, 7, 9),
    "pads2": ints(1, 2, 3, 0),
    "c1": (1, 8, 10, 2),
}


def given(body):
    words = set(body.replace(",", " ").replace("(", " ").replace(")", " ").split())
    return {name: value for name, value in GIVEN.items() if name in words}


@pytest.mark.parametrize("case", [name for name in CASES if name != "Concat with a constant"])
def test_it_runs_in_either_layout(case):
    body = CASES[case]
    x = "float[2,6,8,10]" if "c1" in body else "float[N,6,8,10]"
    result = apply(LAYOUT, around(body, x), given(body))
    assert not result.report.rolled_back, result.report
    assert not result.report.unverified, result.report
    assert operators(result.model)["Transpose"] == (0 if case != "MatMul" else 2), result.report


def test_a_constant_that_is_joined_is_turned():
    text = around("b = Concat <axis = 3> (a, c1)", "float[1,6,8,10]")
    fires(LAYOUT, text, {"c1": (1, 8, 10, 2)}, leaves=["Concat"])


def test_split():
    text = """g (float[N,6,8,10] x) => (float[N,2,8,10] y, float[N,4,8,10] z) {
        a = Transpose <perm = [0, 2, 3, 1]> (x) b, c = Split <axis = 3> (a, split)
        y = Transpose <perm = [0, 3, 1, 2]> (b) z = Transpose <perm = [0, 3, 1, 2]> (c) }"""
    fires(LAYOUT, text, {"split": ints(2, 4)}, leaves=["Split"])


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_places_of_the_largest(op):
    text = f"""g (float[N,6,8,10] x) => (int64[N,8,10] y) {{
        a = Transpose <perm = [0, 2, 3, 1]> (x) y = {op} <axis = 3, keepdims = 0> (a) }}"""
    model = fires(LAYOUT, text, leaves=[op])
    assert model.graph.nodes[0].attrs["axis"] == 1


def test_top():
    text = """g (float[N,6,8,10] x) => (float[N,2,8,10] y, int64[N,2,8,10] z) {
        a = Transpose <perm = [0, 2, 3, 1]> (x) b, c = TopK (a, two)
        y = Transpose <perm = [0, 3, 1, 2]> (b) z = Transpose <perm = [0, 3, 1, 2]> (c) }"""
    fires(LAYOUT, text, {"two": ints(2)}, leaves=["TopK"])


@pytest.mark.parametrize("opset", [11, 13, 18, 21])
def test_the_mean_of_a_picture(opset):
    axes, weights = (
        ("<axes = [1, 2], keepdims = 0> (a)", {}) if opset < 18 else ("<keepdims = 0> (a, axes)", {"axes": ints(1, 2)})
    )
    text = f"""<ir_version: 7, opset_import: ["" : {opset}]> g (float[N,6,8,10] x) => (float[N,6] y) {{
        a = Transpose <perm = [0, 2, 3, 1]> (x) y = ReduceMean {axes} }}"""
    fires(LAYOUT, text, weights, leaves=["ReduceMean"])


@pytest.mark.parametrize("op", ["Reshape (a, shape)", "Squeeze (a, axes)", "Flatten (a)"])
def test_what_a_pooled_picture_is_flattened_by(op):
    text = f"""g (float[N,6,1,1] x) => (float[N,6] y) {{ a = Transpose <perm = [0, 2, 3, 1]> (x) y = {op} }}"""
    weights = {"Reshape": {"shape": ints(0, 6)}, "Squeeze": {"axes": ints(1, 2)}, "Flatten": {}}[op.split()[0]]
    fires(LAYOUT, text, weights, leaves=[op.split()[0]])


def test_refuses_to_take_away_all_axes_of_length_one():
    text = "g (float[1,3,5,4] x) => (float[5,4,3] y) { a = Transpose <perm = [0, 2, 3, 1]> (x) y = Squeeze (a, none) }"
    refuses(LAYOUT, text, {"none": np.array([], np.int64)})


def test_axes_that_are_merged_move_as_one():
    text = """g (float[N,6,8,10] x) => (float[N,6,80] y) { a = Transpose <perm = [0, 2, 3, 1]> (x)
        b = Reshape (a, shape) y = Transpose <perm = [0, 2, 1]> (b) }"""
    fires(LAYOUT, text, {"shape": ints(0, 80, 6)}, leaves=["Reshape"])


def test_refuses_axes_that_are_mixed():
    text = """g (float[2,6,8,10] x) => (float[2,20,24] y) { a = Transpose <perm = [0, 2, 3, 1]> (x)
        b = Reshape (a, shape) y = Transpose <perm = [0, 2, 1]> (b) }"""
    refuses(LAYOUT, text, {"shape": ints(2, 24, 20)}, reason="in this layout only")


def test_indices_are_turned_instead_of_what_they_pick():
    text = """g (int64[B,S] i) => (float[S,B,16] y) { a = Gather (w, i) y = Transpose <perm = [1, 0, 2]> (a) }"""
    model = fires(LAYOUT, text, {"w": (3, 16)}, leaves=["Transpose", "Gather"])
    assert model.graph.nodes[0].op == "Transpose"


def test_heads_may_be_stacked_in_another_way():
    text = """g (float[B,2,3,4,5] x, float[B,3,2,5,7] w) => (float[B,2,3,4,7] y) {
        a = Transpose <perm = [0, 2, 1, 3, 4]> (x) b = MatMul (a, w) y = Transpose <perm = [0, 2, 1, 3, 4]> (b) }"""
    model = fires(LAYOUT, text, leaves=["Transpose", "MatMul"])
    assert model.graph.nodes[0].inputs[0].name == "w"
    both = text.replace("MatMul (a, w)", "MatMul (a, c)").replace(
        "b =", "c = Transpose <perm = [0, 2, 1, 3, 4]> (w) b ="
    )
    fires(LAYOUT, both.replace("[B,3,2,5,7]", "[B,2,3,5,7]"), leaves=["MatMul"])


REFUSED = {
    "LayerNormalization": ("b = LayerNormalization (a, channel)", "cannot work"),
    "Conv": ("b = Conv (a, pixels)", "Conv needs its axes where they are"),
    "Softmax of old": ("b = Softmax <axis = 1> (a)", "Softmax needs its axes"),
    "an operand of another rank": ("r = ReduceMax <axes = [0], keepdims = 0> (a) b = Add (a, r)", ""),
}


@pytest.mark.parametrize("case", ["LayerNormalization", "Conv"])
def test_what_needs_its_axes_where_they_are(case):
    body, reason = REFUSED[case]
    refuses(
        LAYOUT,
        around(body, "float[2,6,8,10]"),
        {**given(body), **({"pixels": (8, 8, 1, 1)} if case == "Conv" else {})},
        reason=reason,
    )


def test_refuses_softmax_over_all_axes_of_old():
    refuses(LAYOUT, around("b = Softmax <axis = 1> (a)", opset=11), reason="Softmax needs its axes")


def test_refuses_arithmetic_with_the_broadcasting_of_old():
    text = around("b = Add <broadcast = 1, axis = 3> (a, channel)", opset=6).replace("ir_version: 10", "ir_version: 4")
    result = apply(LAYOUT, text, {"channel": (6,)})
    assert not result.report.rewrites


def test_softmax_is_not_moved_off_the_last_axis_for_nothing():
    text = """g (float[4,6,8] x) => (float[4,6,8] y) {
        a = Transpose <perm = [0, 2, 1]> (x) b = Softmax (a) y = Transpose <perm = [0, 2, 1]> (b) }"""
    result = apply(LAYOUT, text)
    assert operators(result.model)["Transpose"] in (0, 2)


def test_every_operator_of_the_table_has_a_name_that_onnx_or_the_runtime_knows():
    import onnx

    known = {key_of(schema.name, schema.domain) for schema in onnx.defs.get_all_schemas_with_history()}
    unknown = {key for key in TABLE if key not in known and not key.startswith("com.microsoft.")}
    assert unknown <= {"SimplifiedLayerNormalization"}


def test_which_zero_is_chosen_depends_on_how_operands_broadcast():
    """ONNX Runtime adds up what Where selects, here 0 and -0 by rows, there by single elements."""
    text = """<ir_version: 8, opset_import: ["" : 18]> g (float[3,4,N] x) => (float[A,B,C] y) {
        a = Transpose <perm = [0, 2, 1]> (x) b = Where(chosen, a, zero) y = Transpose <perm = [0, 2, 1]> (b) }"""
    held = {"chosen": np.array([True, False, True, False]), "zero": np.float32(0)}
    fires(LAYOUT, text, held, leaves=["Where"])
