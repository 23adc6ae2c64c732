"""One dimension of a tensor, as a vector."""

import numpy as np
import pytest

from passes.positions import counted_table, one_dimension
from tests.support import fires, refuses

NUMBERS = {"one": np.int64(1), "first": np.array([0]), "last": np.array([-2]), "both": np.array([0, 1])}


@pytest.mark.parametrize(
    "body",
    [
        "s = Shape(x) d = Gather(s, one) y = Unsqueeze(d, first)",
        "s = Shape(x) y = Gather(s, last)",
        "s = Shape<start = 0>(x) y = Gather<axis = 0>(s, last)",
        "s = Shape<start = 0>(x) d = Gather<axis = 0>(s, one) y = Unsqueeze(d, first)",
    ],
)
def test_it_is_a_part_of_the_shape(body: str):
    model = fires(one_dimension, f"g (float[A,B,C] x) => (int64[1] y) {{ {body} }}", NUMBERS, leaves=["Shape"])
    assert model.graph.nodes[0].attrs == {"start": 1, "end": 2}


def test_of_a_shape_that_something_else_reads():
    text = "g (float[A,B] x) => (int64[1] y, int64[2] z) { s = Shape(x) y = Gather(s, first) z = Neg(s) }"
    model = fires(one_dimension, text, NUMBERS, leaves=["Shape", "Shape", "Neg"])
    assert {"start": 0, "end": 1} in [node.attrs for node in model.graph.nodes]


def test_a_number_that_something_else_reads_stays():
    body = "s = Shape(x) d = Gather(s, one) y = Unsqueeze(d, first) z = Neg(d)"
    text = f"g (float[A,B] x) => (int64[1] y, int64 z) {{ {body} }}"
    refuses(one_dimension, text, NUMBERS)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("s = Shape(x) y = Gather(s, one)", "not one dimension, as a vector"),
        ("s = Shape(x) y = Gather(s, both)", "not one dimension, as a vector"),
        ("s = Shape(x) d = Gather(s, one) y = Unsqueeze(d, both)", "is no vector"),
        ("s = Shape<start = 1>(x) y = Gather(s, first)", ""),
        ("s = Shape<end = 1>(x) y = Gather(s, first)", ""),
        ("s = Shape(x) c = Reshape(s, column) y = Gather<axis = 1>(c, first)", ""),
    ],
)
def test_something_else_is_left_alone(body: str, reason: str):
    weights = NUMBERS | {"column": np.array([-1, 1])}
    refuses(one_dimension, f"g (float[A,B,C] x) => (y) {{ {body} }}", weights, reason=reason)


def test_of_an_unknown_number_of_dimensions():
    text = """<ir_version: 10, opset_import: ["" : 21, "of.others" : 1]>
        g (float[A] x) => (int64[1] y) { u = of.others.Unknown(x) s = Shape(u) y = Gather(s, first) }"""
    refuses(one_dimension, text, NUMBERS, reason="the number of dimensions of u is unknown")


def test_shape_has_no_limits_before_opset_15():
    text = (
        '<ir_version: 8, opset_import: ["": 14]> g (float[A,B] x) => (int64[1] y) { s = Shape(x) y = Gather(s, first) }'
    )
    refuses(one_dimension, text, NUMBERS, reason="needs opset 15")


# ---- the length of rows that are counted ----

COUNTED = "r = Range(from, n, by) i = Unsqueeze(r, first) p = Gather(places, i) y = Add(x, p)"
TABLE = NUMBERS | {"places": (6, 8), "from": np.int64(0), "by": np.int64(1), "back": np.int64(-1)}


def rows(length: str, more: str = "", version: int = 21) -> str:
    """A table of positions added to as many rows as `length`, which computes n, says; `more` computes z."""
    outputs = "float[B,S,8] y" + (", int64 z" if more else "")
    header = f'<ir_version: 8, opset_import: ["" : {version}]>'
    return f"{header} g (int64[B,S] ids, float[B,S,8] x) => ({outputs}) {{ {length} {more} {COUNTED} }}"


@pytest.mark.parametrize("version", [15, 21])
@pytest.mark.parametrize(
    "length",
    [
        "s = Shape(ids) n = Gather(s, one)",
        "s = Shape<start = 0>(ids) n = Gather(s, back)",
        "s = Shape(x) n = Gather<axis = 0>(s, one)",
        "s = Shape(ids) f = Reshape(first, none) k = Add(f, one) n = Gather(s, k)",
    ],
)
def test_the_length_is_a_part_of_the_shape(length: str, version: int):
    weights = TABLE | {"none": np.zeros(0, np.int64)}
    model = fires([counted_table, "fold"], rows(length, version=version), weights, leaves=["Shape", "Slice", "Add"])
    assert next(node for node in model.graph.nodes if node.op == "Shape").attrs == {"start": 1, "end": 2}


@pytest.mark.parametrize(
    ("length", "operators", "version"),
    [
        ("s = Shape(ids) n = Gather(s, one)", ["Shape", "Gather"], 14),
        ("s = Shape<start = 1>(ids) k = Sub(one, one) n = Gather(s, k)", ["Shape", "Sub", "Gather"], 21),
        ("s = Shape<end = 2>(ids) n = Gather(s, one)", ["Shape", "Gather"], 21),
        ("s = Shape(ids) d = Neg(s) u = Neg(d) n = Gather(u, one)", ["Shape", "Neg", "Neg", "Gather"], 21),
        ("s = Shape(ids) v = Gather(s, back1) n = Squeeze(v)", ["Shape", "Gather", "Squeeze"], 21),
    ],
)
def test_another_length_becomes_a_vector(length: str, operators: list[str], version: int):
    weights = TABLE | {"back1": np.array([-1])}
    leaves = [*operators, "Unsqueeze", "Slice", "Add"]
    fires(counted_table, rows(length, version=version), weights, leaves=leaves)


def test_the_length_is_read_elsewhere_too():
    text = rows("s = Shape(ids) n = Gather(s, one)", "z = Neg(n)")
    fires(counted_table, text, TABLE, leaves=["Shape", "Shape", "Gather", "Neg", "Slice", "Add"])
