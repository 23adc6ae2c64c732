from __future__ import annotations

import numpy as np
import pytest

from graphopt.rewrite.rule import Rule
from passes.positions import (
    constant_lookup,
    decided_and,
    decided_mask,
    grid_of_counters,
    grid_of_indices,
    repeated_constant,
    repeated_lookup,
    uniform_operand,
)
from tests.support import fires, refuses

GRID = np.stack(np.unravel_index(np.arange(6), (2, 3)), -1).reshape(2, 1, 1, 3, 2)
NUMBERS = {"zero": np.int64(0), "one": np.int64(1), "first": np.array([0]), "down": np.array([1, 2, 3])}
NUMBERS["across"] = np.array([0, 1, 2])
COUNTERS = """
  s = Shape(x) b = Gather(s, zero) n = Gather(s, one)
  i = Range(zero, b, one) j = Range(zero, n, one) iu = Unsqueeze(i, down) ju = Unsqueeze(j, across)
  w = Mul(iu, n) k = Add(ju, w) f = Flatten<axis = 2>(x) y = Gather(f, k)
"""
LEFT = {"Unsqueeze": 1}


def test_every_element_in_its_order_by_constant_indices():
    text = "g (float[2,3] x) => (float[2,1,1,3] y) { y = GatherND(x, i) }"
    model = fires(grid_of_indices, text, {"i": GRID}, leaves=["Reshape"])
    assert model.graph.nodes[0].inputs[1].values.tolist() == [2, 1, 1, 3]


def test_rows_in_their_order_by_constant_indices():
    text = "g (float[3,N] x) => (float[1,3,N] y) { y = GatherND(x, i) }"
    refuses(grid_of_indices, text, {"i": np.arange(3).reshape(1, 3, 1)}, reason="shape of the result is not known")
    text = "g (float[3,4] x) => (float[1,3,4] y) { y = GatherND(x, i) }"
    fires(grid_of_indices, text, {"i": np.arange(3).reshape(1, 3, 1)}, leaves=["Reshape"])


@pytest.mark.parametrize(
    ("indices", "reason"),
    [
        (GRID[..., ::-1, :], "not read in their order"),
        (GRID[:1], "not each element is read"),
    ],
)
def test_other_indices_move_something(indices: np.ndarray, reason: str):
    text = "g (float[2,3] x) => (float[?,1,1,3] y) { y = GatherND(x, i) }"
    refuses(grid_of_indices, text, {"i": np.ascontiguousarray(indices)}, reason=reason)


def test_elements_of_unknown_rows_are_looked_up():
    text = "g (float[2,N] x) => (float[1] y) { y = GatherND(x, i) }"
    refuses(grid_of_indices, text, {"i": np.array([[0, 1]])}, reason="dimensions looked up are not known")


def test_so_many_indices_are_looked_at():
    text = "g (float[M] x) => (float[M] y) { y = GatherND(x, i) }"
    fires(grid_of_indices, text.replace("M", "4096"), {"i": np.arange(4096)[:, None]}, leaves=["Reshape"])
    more = {"i": np.arange(4097)[:, None]}
    refuses(grid_of_indices, text.replace("M", "4097"), more, reason="many indices")


def test_since_elements_are_looked_up():
    text = '<ir_version: 7, opset_import: ["" : 12]> g (float[2,3] x) => (float[2,1,1,3] y) { y = GatherND(x, i) }'
    fires(grid_of_indices, text, {"i": GRID}, leaves=["Reshape"])


@pytest.mark.parametrize("opset", [13, 21])
def test_counters_of_two_dimensions(opset: int):
    body = COUNTERS.replace("Unsqueeze(i, down)", "Unsqueeze(i, one1)").replace(
        "Unsqueeze(j, across)", "Unsqueeze(j, first)"
    )
    text = f'<ir_version: 7, opset_import: ["" : {opset}]> g (float[B,S] x) => (float[B,S,1] y) {{ {body} }}'
    numbers = {name: NUMBERS[name] for name in ("zero", "one", "first")} | {"one1": np.array([1])}
    fires([grid_of_counters, "clean"], text, numbers, leaves=LEFT)


def test_counters_of_more_than_a_matrix_stay():
    text = f"g (float[B,S,2] x) => (float[?,?,?,?,?] y) {{ {COUNTERS.replace('axis = 2', 'axis = 3')} }}"
    refuses(grid_of_counters, text, NUMBERS, reason="not known to be a matrix")


def test_every_element_in_its_order_by_counters():
    text = f"g (bool[B,S] x) => (bool[B,1,1,S,1] y) {{ {COUNTERS} }}"
    model = fires([grid_of_counters, "clean"], text, NUMBERS, leaves=LEFT)
    assert model.graph.nodes[0].inputs[1].values.tolist() == [1, 2, 4]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Range(zero, n, one)", "Range(one, n, one)", "does not go from 0 by 1"),
        ("Mul(iu, n)", "Mul(iu, b)", "not known to be the number of columns"),
        ("Range(zero, b, one)", "Range(zero, n, one)", "through all of its axis"),
        ("Flatten<axis = 2>(x)", "Flatten<axis = 0>(x)", "do not lie in the first dimension"),
    ],
)
def test_other_counters_move_something(old: str, new: str, reason: str):
    text = f"g (float[B,S] x) => (float[?,?,?,?,?] y) {{ {COUNTERS.replace(old, new)} }}"
    refuses(grid_of_counters, text, NUMBERS, reason=reason)


TABLE = {"t": (4, 8), "zeros": np.zeros((1, 1), np.int64), "first": np.array([0])}


def test_the_same_row_everywhere_is_a_row():
    text = """g (float[B,S,8] x, int64[B,S] i) => (float[B,S,8] y) {
        s = Shape(i) e = Expand(zeros, s) r = Gather(t, e) y = Add(r, x) }"""
    fires([constant_lookup, "clean"], text, TABLE, leaves=["Add"])


@pytest.mark.parametrize(
    ("body", "x", "reason"),
    [
        ("r = Gather(t, i) y = Add(x, r)", "float[B,S,8]", "not known to be all the same"),
        ("s = Shape(i) e = Expand(zeros, s) r = Gather(t, e) y = Add(x, r)", "float[8]", "shape of the sum"),
        ("s = Shape(i) e = Expand(zeros, s) r = Gather<axis = 1>(t, e) y = Add(x, r)", "float[4,1,1]", ""),
    ],
)
def test_other_lookups_stay(body: str, x: str, reason: str):
    refuses(constant_lookup, f"g ({x} x, int64[B,S] i) => (float[?,?,?] y) {{ {body} }}", TABLE, reason=reason)


@pytest.mark.parametrize("number", [3, -4])
def test_rows_of_a_table_count_from_both_ends(number: int):
    text = """g (float[B,S,8] x, int64[B,S] i) => (float[B,S,8] y) {
        s = Shape(i) e = Expand(zeros, s) r = Gather(t, e) y = Add(r, x) }"""
    fires([constant_lookup, "clean"], text, TABLE | {"zeros": np.array([[number]])}, leaves=["Add"])


def test_a_row_may_spread_what_it_is_added_to():
    text = """g (float[B,S,1] x, int64[B,S] i) => (float[B,S,8] y) {
        s = Shape(i) e = Expand(zeros, s) r = Gather(t, e) y = Add(r, x) }"""
    fires([constant_lookup, "clean"], text, TABLE, leaves=["Add"])


@pytest.mark.parametrize("number", [4, -5])
def test_rows_that_the_table_does_not_have_are_looked_up(number: int):
    text = """g (float[B,S,8] x, int64[B,S] i) => (float[B,S,8] y) {
        s = Shape(i) e = Expand(zeros, s) r = Gather(t, e) y = Add(r, x) }"""
    refuses(constant_lookup, text, TABLE | {"zeros": np.array([[number]])}, reason="outside the table")


@pytest.mark.parametrize("rule", [constant_lookup, repeated_lookup])
def test_what_is_no_table_is_looked_up(rule: Rule):
    body = "s = Shape(i) e = Expand(zeros, s) r = Gather(t, e) y = Add(r, x)"
    text = f"g (float[8,8] x, int64[B,S] i) => (float[B,S,8,8] y) {{ {body} }}"
    refuses(rule, text, TABLE | {"t": (4, 8, 8)}, reason="no constant matrix")
    text = f"g (float[B,S,8] x, int64[B,S] i, float[4,8] t) => (float[B,S,8] y) {{ {body} }}"
    refuses(rule, text, {"zeros": TABLE["zeros"]}, reason="no constant matrix")


PLACES = {"t": (4, 8), "rows": np.array([[0, 1, 2]])}
REPEATED = "s = Shape(i) e = Expand(rows, s) r = Gather(t, e) y = Add(x, r)"


def test_rows_that_are_the_same_for_a_batch_are_looked_up_once():
    text = f"g (float[B,3,8] x, int64[B,3] i) => (float[B,3,8] y) {{ {REPEATED} }}"
    fires([repeated_lookup, "clean"], text, PLACES, leaves=["Gather", "Add"])


def test_rows_may_spread_what_they_are_added_to():
    text = f"g (float[B,1,8] x, int64[B,3] i) => (float[B,3,8] y) {{ {REPEATED} }}"
    fires([repeated_lookup, "clean"], text, PLACES, leaves=["Gather", "Add"])


def test_since_rows_are_repeated():
    text = (
        f'<ir_version: 3, opset_import: ["" : 8]> g (float[B,3,8] x, int64[B,3] i) => (float[B,3,8] y) {{ {REPEATED} }}'
    )
    fires([repeated_lookup, "clean"], text, PLACES, leaves=["Gather", "Add"])


def test_rows_that_make_the_sum_larger_are_looked_up_again():
    text = f"g (float[1,3,8] x, int64[B,3] i) => (float[B,3,8] y) {{ {REPEATED} }}"
    refuses(repeated_lookup, text, PLACES, reason="shape of the sum")


ALWAYS = "n = Shape<start = 1>(c) s = Squeeze(n) r = Range(zero, s, one) a = GreaterOrEqual(r, zero) "
SPREAD = ALWAYS + "u = Unsqueeze(a, across1) m = And(u, c) "
MASK = NUMBERS | {"across1": np.array([1]), "low": np.float32(-1e4), "null": np.float32(0)}


def test_a_condition_that_always_holds_goes():
    text = f"g (bool[B,S] c) => (bool[B,S] y) {{ {ALWAYS} y = And(c, a) }}"
    fires([decided_and, "clean"], text.replace("y = And(c, a)", "m = And(c, a) y = Not(m)"), MASK, leaves=["Not"])
    refuses(
        decided_and, text.replace("GreaterOrEqual", "Greater"), MASK, reason="no condition is known to hold everywhere"
    )


def test_a_condition_that_is_returned_keeps_its_name():
    text = f"g (bool[B,S] c) => (bool[B,S] y) {{ {ALWAYS} y = And(c, a) }}"
    refuses(decided_and, text, MASK)


def test_a_condition_that_spreads_the_other_stays():
    text = f"g (bool[1,S] c) => (bool[S,S] y) {{ {SPREAD} y = Not(m) }}"
    refuses(decided_and, text, MASK, reason="broadcasts")


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("w = Where(m, null, low) y = Add(x, w)", {"Where": 1, "Add": 1}),
        ("y = Where(m, x, low)", {"Where": 1}),
        ("n2 = Not(m) y = Where(n2, low, x)", {"Where": 1}),
    ],
)
def test_a_mask_is_spread_by_what_it_masks(body: str, left: dict[str, int]):
    text = f"g (float[S,S] x, bool[1,S] c) => (float[S,S] y) {{ {SPREAD} {body} }}"
    fires([decided_mask, "clean"], text, MASK, leaves=left)


def test_a_mask_that_may_not_hold_stays():
    text = f"g (float[S,S] x, bool[1,S] c) => (float[S,S] y) {{ {SPREAD} y = Where(m, x, low) }}"
    refuses(decided_mask, text.replace("GreaterOrEqual", "Greater"), MASK, reason="known to hold everywhere")


def test_a_mask_that_spreads_what_it_masks_stays():
    text = f"g (float[1,S] x, bool[1,S] c) => (float[S,S] y) {{ {SPREAD} y = Where(m, x, low) }}"
    refuses(decided_mask, text, MASK, reason="may have another shape")


def test_a_constant_that_repeats_itself():
    same = np.tile(np.arange(4, dtype=np.float32), (2, 3, 1))
    model = fires(
        repeated_constant, "g (float[2,3,4] x) => (float[2,3,4] y) { y = Sub(c, x) }", {"c": same}, leaves=["Sub"]
    )
    assert model.graph.nodes[0].inputs[0].shape == (1, 1, 4)


@pytest.mark.parametrize(
    ("shape", "reason"), [("float[2,1,4]", "may not have the result's shape"), ("float[N,3,4]", "may not have")]
)
def test_a_constant_that_gives_the_result_its_shape_stays(shape: str, reason: str):
    same = np.tile(np.arange(4, dtype=np.float32), (2, 3, 1))
    refuses(repeated_constant, f"g ({shape} x) => (float[2,3,4] y) {{ y = Add(x, c) }}", {"c": same}, reason=reason)


def test_so_large_constants_are_looked_at():
    most = {"c": np.ones((2, 1 << 21), np.bool_)}
    fires(repeated_constant, "g (bool[2,2097152] x) => (bool[2,2097152] y) { y = And(x, c) }", most, leaves=["And"])
    more = {"c": np.ones((1, (1 << 22) + 1), np.bool_)}
    text = "g (bool[1,4194305] x) => (bool[1,4194305] y) { y = And(x, c) }"
    refuses(repeated_constant, text, more, reason="the constant is large")


def test_two_elements_may_be_the_same():
    text = "g (float[2,3] x) => (float[2,3] y) { y = Add(x, c) }"
    fires(repeated_constant, text, {"c": np.ones((2, 1), np.float32)}, leaves=["Add"])


def test_a_single_element_repeats_nothing():
    text = "g (float[2,3] x) => (float[2,3] y) { y = Add(x, c) }"
    refuses(repeated_constant, text, {"c": np.float32(2)}, reason="has one element")


def test_since_arithmetic_repeats_constants():
    text = '<ir_version: 3, opset_import: ["" : 7]> g (float[2,3] x) => (float[2,3] y) { y = Add(x, c) }'
    fires(repeated_constant, text, {"c": np.ones((2, 3), np.float32)}, leaves=["Add"])


def test_zeros_of_both_signs_are_not_the_same():
    signs = np.array([[0.0], [-0.0]], np.float32)
    refuses(repeated_constant, "g (float[2,1] x) => (float[2,1] y) { y = Add(x, c) }", {"c": signs})


FILLED = "n = Shape(x) o = ConstantOfShape<value = {}>(n) "


@pytest.mark.parametrize(
    ("dtype", "value", "body"),
    [
        ("int64", "int64[1] {15}", "y = Min(x, o)"),
        ("float", "float[1] {0.1}", "y = Mul(o, x)"),
        ("float", "float[1] {2}", "p = Add(o, o) y = Sub(p, x)"),
    ],
)
def test_an_operand_that_is_one_number_everywhere(dtype: str, value: str, body: str):
    text = f"g ({dtype}[A,B] x) => ({dtype}[A,B] y) {{ {FILLED.format(value)} {body} }}"
    fires([uniform_operand, "clean"], text, leaves=[body.rsplit("= ", 1)[1].split("(", maxsplit=1)[0]])


@pytest.mark.parametrize(
    ("x", "body", "reason"),
    [
        ("float[B]", "n = Shape(z) o = ConstantOfShape<value = float[1] {2}>(n) y = Add(x, o)", ""),
        ("float[A,B]", FILLED.format("float[1] {0.1}") + "p = Add(o, o) y = Mul(x, p)", "one number everywhere"),
        ("float[A,B]", "y = Mul(x, z)", "one number everywhere"),
        ("float[A,B]", FILLED.format("float[1] {2}") + "y = Add(o, o)", "both operands are the same"),
    ],
)
def test_other_operands_stay(x: str, body: str, reason: str):
    refuses(uniform_operand, f"g ({x} x, float[A,B] z) => (float[A,B] y) {{ {body} }}", reason=reason)


def test_since_an_operand_is_repeated():
    text = '<ir_version: 3, opset_import: ["" : 8]> g (float[A,B] x) => (float[A,B] y)'
    body = "n = Shape(x) o = Expand(two, n) y = Mul(o, x)"
    fires(uniform_operand, f"{text} {{ {body} }}", {"two": np.float32(2)}, leaves=["Shape", "Mul"])
