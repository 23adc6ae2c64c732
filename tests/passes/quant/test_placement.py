"""Where the border between integers and floats runs."""

import pytest

from graphopt.ir.reader import load
from graphopt.pipeline.context import Context
from passes.quant.kernels import X64_VNNI
from passes.quant.placement import choose
from passes.quant.units import find
from tests.support import proto

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\nnet (float[1, 8, 16, 16] x) => (float[1, 8, 16, 16] y) '
CONV = "Conv <pads = [1, 1, 1, 1]>"


def chosen(body, excluded=()):
    context = Context(load(proto(f"{HEAD} {{ {body} }}", {"w": (8, 8, 3, 3)})))
    return [unit.name for unit in choose(context, find(context, X64_VNNI)[0], excluded)]


def test_what_stands_between_two_products_computes_in_integers():
    assert chosen(f"a = {CONV} (x, w)\n s = Sigmoid (a)\n y = {CONV} (s, w)") == ["a", "s", "y"]


def test_what_stands_between_two_operators_without_a_kernel_computes_in_floats():
    assert chosen("a = Elu (x)\n s = Add (a, x)\n y = Elu (s)") == []


def test_a_single_call_between_floats_is_not_worth_two_conversions_but_a_product_is():
    assert chosen("y = Add (x, x)") == []
    assert chosen(f"y = {CONV} (x, w)") == ["y"]


def test_a_residual_connection_follows_its_products():
    body = f"a = {CONV} (x, w)\n r = Relu (a)\n b = {CONV} (r, w)\n s = Add (b, r)\n t = Relu (s)\n y = {CONV} (t, w)"
    assert chosen(body) == ["r", "b", "t", "y"]


def test_a_relu_belongs_to_the_call_before_it_only_where_nothing_else_reads_that():
    assert chosen(f"a = {CONV} (x, w)\n r = Relu (a)\n y = Add (a, r)") == ["a"]


def test_views_go_with_what_is_around_them():
    shape = "s = Constant <value = int64[4] {1, 8, 16, 16}> ()\n"
    assert chosen(shape + f"a = {CONV} (x, w)\n v = Reshape (a, s)\n y = {CONV} (v, w)") == ["a", "v", "y"]


@pytest.mark.parametrize("excluded", [("a",), ("y",)])
def test_what_is_excluded_is_float_and_its_neighbours_follow(excluded):
    found = chosen(f"a = {CONV} (x, w)\n s = LeakyRelu (a)\n y = {CONV} (s, w)", excluded)
    assert not set(excluded) & set(found)
    assert len(found) >= 1
