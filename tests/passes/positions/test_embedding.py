from __future__ import annotations

import numpy as np
import pytest

from passes.positions import class_token, converted_lookup, counted_table, row_in_table, shifted_lookup, sliced_table
from tests.support import fires, refuses

TABLES = {
    "words": (10, 8),
    "places": (6, 8),
    "row": np.linspace(-1, 1, 8, dtype=np.float32),
    "numbers": np.arange(6)[None],
    "zero": np.array([0]),
    "axis": np.array([1]),
    "two": np.int64(2),
    "token": np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 1, 8),
    "positions": np.linspace(-3, 3, 40, dtype=np.float32).reshape(1, 5, 8),
}
IDS = "int64[B,S] ids"
WINDOW = "n = Shape<start = 1>(ids) w = Slice(numbers, zero, n, axis) p = Gather(places, w) "


def test_numbered_rows_are_a_slice_of_the_table():
    text = f"g ({IDS}) => (float[1,?,8] p) {{ {WINDOW} }}"
    model = fires(sliced_table, text, TABLES, leaves=["Shape", "Slice"])
    assert model.graph.nodes[-1].inputs[0].shape == (1, 6, 8)


def test_fewer_numbers_than_rows():
    text = f"g ({IDS}) => (float[1,?,8] p) {{ {WINDOW} }}"
    model = fires(sliced_table, text, TABLES | {"numbers": np.arange(4)[None]}, leaves=["Shape", "Slice"])
    assert model.graph.nodes[-1].inputs[0].shape == (1, 4, 8)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (np.arange(1, 6)[None], "from 0 by 1"),
        (np.arange(6)[None, ::-1].copy(), "from 0 by 1"),
        (np.tile(np.arange(6), (2, 1)), "not a single row"),
        (np.arange(7)[None], "from 0 by 1"),
    ],
)
def test_other_numbers_are_looked_up(numbers: np.ndarray, reason: str):
    text = f"g ({IDS}) => (float[?,?,8] p) {{ {WINDOW} }}"
    refuses(sliced_table, text, TABLES | {"numbers": numbers}, reason=reason)


@pytest.mark.parametrize("opset", [10, 21])
def test_rows_up_to_any_number(opset: int):
    text = f"""<ir_version: 5, opset_import: ["" : {opset}]> g (int64[1] n) => (float[1,?,8] p) {{
        w = Slice(numbers, zero, n, last) p = Gather(places, w) }}"""
    fires(sliced_table, text, TABLES | {"last": np.array([-1])}, leaves=["Slice"])


@pytest.mark.parametrize("axes", ["", ", zero"])
def test_rows_of_numbers_are_looked_up(axes: str):
    text = f"g (int64[1] n) => (float[?,6,8] p) {{ w = Slice(numbers, zero, n{axes}) p = Gather(places, w) }}"
    refuses(sliced_table, text, TABLES, reason="along their row alone")


@pytest.mark.parametrize("width", [8 << 20, (8 << 20) + 1])
def test_so_large_tables_are_rewritten(width: int):
    text = f"g (int64[1] n) => (uint8[1,?,{width}] p) {{ w = Slice(numbers, zero, n, axis) p = Gather(places, w) }}"
    weights = TABLES | {"places": np.zeros((2, width), np.uint8), "numbers": np.arange(2)[None]}
    if width == 8 << 20:
        fires(sliced_table, text, weights, leaves=["Slice"])
    else:
        refuses(sliced_table, text, weights, reason="the table is large")


def test_what_is_no_table_is_looked_up():
    text = f"g ({IDS}, float[6,8] places) => (float[1,?,8] p) {{ {WINDOW} }}"
    given = {name: TABLES[name] for name in ("numbers", "zero", "axis")}
    refuses(sliced_table, text, given, reason="no constant matrix")
    text = f"g ({IDS}) => (float[1,?,8,2] p) {{ {WINDOW} }}"
    refuses(sliced_table, text, TABLES | {"places": (6, 8, 2)}, reason="no constant matrix")


COUNT = "s = Shape(ids) n = Gather(s, axis0) r = Range({}, n, {}) i = Unsqueeze(r, {}) p = Gather(places, i) "
NUMBERS = TABLES | {"axis0": np.int64(1), "from": np.int64(0), "by": np.int64(1), "first": np.int64(1)}


def counting(start="from", step="by", axes="zero"):
    return COUNT.format(start, step, axes)


def known(body, **more):
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in (NUMBERS | more).items() if name in words}


def test_rows_that_are_counted_are_a_slice_of_the_table():
    body = counting() + "y = Add(x, p)"
    text = f"g ({IDS}, float[B,S,8] x) => (float[B,S,8] y) {{ {body} }}"
    model = fires(counted_table, text, known(body), leaves=["Shape", "Slice", "Add"])
    assert model.graph.nodes[-2].inputs[0].shape == (1, 6, 8)


@pytest.mark.parametrize("opset", [13, 14])
def test_the_length_is_a_dimension_before_opset_15(opset: int):
    body = counting() + "y = Add(x, p)"
    text = f'<ir_version: 7, opset_import: ["": {opset}]> g ({IDS}, float[B,S,8] x) => (float[B,S,8] y) {{ {body} }}'
    fires(counted_table, text, known(body), leaves=["Shape", "Gather", "Unsqueeze", "Slice", "Add"])


def test_the_length_is_read_elsewhere_too():
    body = counting() + "y = Add(x, p) z = Neg(n)"
    text = f"g ({IDS}, float[B,S,8] x) => (float[B,S,8] y, int64 z) {{ {body} }}"
    fires(counted_table, text, known(body), leaves=["Shape", "Shape", "Gather", "Neg", "Slice", "Add"])


@pytest.mark.parametrize(
    ("body", "given", "reason"),
    [
        (counting(start="first"), "float[B,S,8] x", "from 0 by 1"),
        (counting(axes="axis"), "float[B,S,8] x", "single row"),
        (counting(), "float[B,1,8] x", "as long"),
        (counting(), "float[B,T,8] x", "as long"),
        (counting(), "float[S,8] x", "three dimensions"),
    ],
)
def test_rows_counted_otherwise_are_looked_up(body: str, given: str, reason: str):
    body += "y = Add(x, p)"
    refuses(counted_table, f"g ({IDS}, {given}) => (float[?,?,8] y) {{ {body} }}", known(body), reason=reason)


def test_the_only_row_of_a_table_is_looked_up():
    body = counting() + "y = Add(x, p)"
    text = f"g ({IDS}, float[B,S,8] x) => (float[B,S,8] y) {{ {body} }}"
    refuses(counted_table, text, known(body, places=np.ones((1, 8), np.float32)), reason="single row")


def test_a_table_of_two_rows_is_cut():
    body = counting() + "y = Add(x, p)"
    text = f"g (int64[B,2] ids, float[B,2,8] x) => (float[B,2,8] y) {{ {body} }}"
    weights = known(body, places=np.arange(16, dtype=np.float32).reshape(2, 8))
    fires(counted_table, text, weights, leaves=["Shape", "Slice", "Add"])


def test_a_table_with_two_uses_is_not_stored_twice():
    text = f"g ({IDS}) => (float[1,?,8] p, float[B,S,8] y) {{ {WINDOW} y = Gather(places, ids) }}"
    refuses(sliced_table, text, TABLES, reason="used elsewhere")


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        (counted_table, counting() + "y = Add(x, p) z = Gather(places, ids)"),
        (row_in_table, "a = Gather(words, ids) y = Add(a, row) z = Gather(words, ids)"),
        (shifted_lookup, "i = Mod(ids, two) j = Add(i, two) y = Gather(words, j) z = Gather(words, i)"),
    ],
)
def test_a_table_with_two_uses_is_left_as_it_is(rule, body):
    text = f"g ({IDS}, float[B,S,8] x) => (float[B,S,8] y, float[?,?,8] z) {{ {body} }}"
    refuses(rule, text, known(body), reason="used elsewhere")


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ("a = Gather(words, ids) y = Add(a, row)", ["Gather"]),
        ("a = Add(x, row) b = Gather(words, ids) y = Add(a, b)", ["Gather", "Add"]),
        ("a = Gather(words, ids) b = Add(x, a) y = Add(row, b)", ["Gather", "Add"]),
    ],
)
def test_a_row_goes_into_the_table(body: str, left: list[str]):
    text = f"g ({IDS}, float[B,S,8] x) => (float[B,S,8] y) {{ {body} }}"
    fires(row_in_table, text, TABLES, leaves=left)


@pytest.mark.parametrize("row", [(8,), (1, 8), (1, 1, 8)])
def test_a_row_of_up_to_as_many_dimensions(row: tuple[int, ...]):
    text = f"""<ir_version: 3, opset_import: ["" : 7]> g ({IDS}) => (float[B,S,8] y) {{
        a = Gather(words, ids) y = Add(a, row) }}"""
    fires(row_in_table, text, TABLES | {"row": np.ones(row, np.float32)}, leaves=["Gather"])


@pytest.mark.parametrize(
    ("row", "reason"),
    [((1,), "not one row"), ((5, 8), "not one row"), ((1, 1, 1, 8), "more dimensions")],
)
def test_only_a_row_goes_into_the_table(row: tuple[int, ...], reason: str):
    text = "g (int64[B,5] ids) => (float[?,?,?] y) { a = Gather(words, ids) y = Add(a, row) }"
    text = text.replace("float[?,?,?]", "float[1,?,?,?]") if len(row) > 3 else text
    refuses(row_in_table, text, TABLES | {"row": np.ones(row, np.float32)}, reason=reason)


POSITIVE = "e = Equal(ids, two) c = Cast<to = 7>(e) s = CumSum(c, one) "


def test_ids_that_start_at_two_need_no_first_rows():
    text = f"g ({IDS}) => (float[B,S,8] y) {{ {POSITIVE} i = Add(s, two) y = Gather(places, i) }}"
    left = {"Equal": 1, "Cast": 1, "CumSum": 1, "Gather": 1}
    weights = TABLES | {"one": np.int64(1), "places": (30, 8)}
    model = fires(shifted_lookup, text, weights, leaves=left)
    assert model.graph.nodes[-1].inputs[0].shape == (28, 8)


def test_ids_that_may_be_negative_need_them():
    text = f"g ({IDS}) => (float[B,S,8] y) {{ i = Add(ids, two) y = Gather(places, i) }}"
    refuses(shifted_lookup, text, TABLES, reason="not known to be at least 0")


def test_ids_that_are_moved_by_several_numbers_need_them():
    text = "g (float[B,2] x) => (y) { s = Shape(x) i = Add(s, several) y = Gather(places, i) }"
    refuses(shifted_lookup, text, TABLES | {"several": np.array([1, 2])}, reason="more than one number")


@pytest.mark.parametrize("number", [1, 5])
def test_sizes_are_ids_from_zero(number: int):
    text = """<ir_version: 3, opset_import: ["" : 7]> g (float[N,3] x) => (float[2,8] y) {
        s = Shape(x) i = Add(s, number) y = Gather(places, i) }"""
    weights = {"number": np.int64(number), "places": (30, 8)}
    fires(shifted_lookup, text, weights, leaves=["Shape", "Gather"])


@pytest.mark.parametrize(
    ("ids", "number", "reason"),
    [
        ("s = Shape(x)", 0, "the table has no such row"),
        ("s = Shape(x)", 6, "the table has no such row"),
        ("s = Shape(x)", [[1]], "the ids may get more dimensions"),
        ("r = Shape(x) s = Sub(r, one)", 1, "not known to be at least 0"),
    ],
)
def test_ids_that_are_moved_otherwise_need_them(ids: str, number: int, reason: str):
    text = f"g (float[N,3] x) => (y) {{ {ids} i = Add(s, number) y = Gather(places, i) }}"
    refuses(shifted_lookup, text, {"number": np.array(number), "one": np.int64(1), "places": (6, 8)}, reason=reason)


def test_int32_ids_need_no_cast():
    text = "g (int32[B,S] ids) => (float[B,S,8] y) { i = Cast<to = 7>(ids) y = Gather(words, i) }"
    fires(converted_lookup, text, TABLES, leaves=["Gather"])


def test_other_ids_need_one():
    text = "g (float[B,S] ids) => (float[B,S,8] y) { i = Cast<to = 7>(ids) y = Gather(words, i) }"
    refuses(converted_lookup, text, TABLES, reason="not cast from int32")


EXPANDED = "b = Shape<end = 1>(x) s = Concat<axis = 0>(b, axis, eight) t = Expand(token, s) "
JOINED = "j = Concat<axis = 1>(t, x) y = Add(j, positions)"
EIGHT = {"eight": np.array([8])}


@pytest.mark.parametrize(
    "body", [EXPANDED + JOINED, EXPANDED + JOINED.replace("Add(j, positions)", "Add(positions, j)")]
)
def test_a_token_before_each_sequence_is_a_position(body: str):
    text = f"g (float[B,4,8] x) => (float[B,5,8] y) {{ {body} }}"
    fires([class_token, "clean"], text, TABLES | EIGHT, leaves=["Pad", "Add"])


@pytest.mark.parametrize("opset", [10, 11])
def test_a_token_needs_pads_that_are_an_input(opset: int):
    text = f"""<ir_version: 7, opset_import: ["" : {opset}]> g (float[2,4,8] x) => (float[2,5,8] y) {{
        j = Concat<axis = 1>(token, x) y = Add(j, positions) }}"""
    tables = TABLES | {"token": np.tile(TABLES["token"], (2, 1, 1))}
    if opset == 11:
        fires(class_token, text, tables, leaves=["Pad", "Add"])
    else:
        refuses(class_token, text, tables, reason="needs opset 11")


def test_a_token_for_a_known_batch():
    text = "g (float[2,4,8] x) => (float[2,5,8] y) { j = Concat<axis = -2>(token, x) y = Add(j, positions) }"
    tokens = {"token": np.tile(TABLES["token"], (2, 1, 1))}
    fires(class_token, text, TABLES | tokens, leaves=["Pad", "Add"])


def test_a_number_as_a_token():
    body = EXPANDED.replace("eight", "axis") + JOINED
    tokens = {"token": np.float32(0.5), "positions": np.linspace(-3, 3, 5, dtype=np.float32).reshape(1, 5, 1)}
    text = f"g (float[B,4,1] x) => (float[B,5,1] y) {{ {body} }}"
    fires([class_token, "clean"], text, TABLES | tokens, leaves=["Pad", "Add"])


@pytest.mark.parametrize(
    ("token", "positions", "reason"),
    [
        (np.arange(16, dtype=np.float32).reshape(2, 1, 8), TABLES["positions"], "no single row"),
        (np.ones((2, 1, 8), np.float32), np.ones((5, 1), np.float32), "not one row for each"),
        (np.ones((2, 1, 8), np.float32), np.ones((2, 5, 8), np.float32), "not one row for each"),
    ],
)
def test_other_tokens_stay(token: np.ndarray, positions: np.ndarray, reason: str):
    text = "g (float[2,4,8] x) => (float[2,5,8] y) { j = Concat<axis = 1>(token, x) y = Add(j, positions) }"
    refuses(class_token, text, TABLES | {"token": token, "positions": positions}, reason=reason)


def test_a_token_beside_a_row_stays():
    text = "g (float[2,4] x) => (float[2,5] y) { j = Concat<axis = 1>(token, x) y = Add(j, positions) }"
    weights = {"token": np.ones((2, 1), np.float32), "positions": np.ones((1, 5), np.float32)}
    refuses(class_token, text, weights, reason="not those of batches of sequences")


def test_two_tokens_stay():
    text = "g (float[1,4,8] x) => (float[1,6,8] y) { j = Concat<axis = 1>(token, x) y = Add(j, positions) }"
    weights = {"token": np.ones((1, 2, 8), np.float32), "positions": np.ones((1, 6, 8), np.float32)}
    refuses(class_token, text, weights, reason="no single row")
