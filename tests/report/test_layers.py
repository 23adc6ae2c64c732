"""A model layer by layer."""

from __future__ import annotations

import numpy as np

from graphopt.budget.record import Budgeted, Cost, Figure
from graphopt.ir.reader import load
from graphopt.measure.profile import OperatorTime
from graphopt.report.layers import Layer, heaviest, layers, sensitive, timed, worth_telling
from passes.fuse import FUSE
from tests.support import apply, proto

TEXT = """agraph (float[n, 2, 6, 6] x) => (float[n, 2, 6, 6] y) {
    [one] a = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)
    [two] b = Relu (a)
    [three] c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (b, w)
    [four] d = Add (c, b)
    y = Relu (d)
}"""
WEIGHTS = {"w": (2, 2, 3, 3)}


def model(text=TEXT, weights=None):
    return load(proto(text, weights or WEIGHTS))


def test_parameters_count_where_they_are_read_first_and_macs_everywhere():
    found = {one.name: (one.operator, one.parameters, one.macs) for one in layers(model())}
    assert found == {
        "one": ("Conv", 36, 2 * 36 * 18),
        "two": ("Relu", 0, 0),
        "three": ("Conv", 0, 2 * 36 * 18),
        "four": ("Add", 0, 0),
        "y": ("Relu", 0, 0),
    }


def test_dimensions_are_those_that_are_given():
    assert layers(model(), {"n": 5})[0].macs == 5 * 2 * 36 * 18


def test_what_a_rule_made_says_so():
    text = """<ir_version: 10, opset_import: ["" : 21]>
    agraph (float[1, 2, 6, 6] x) => (float[1, 3, 4, 4] y) {
        [conv] c = Conv <kernel_shape = [3, 3]> (x, w)
        [norm] y = BatchNormalization (c, s, s, s, v)
    }"""
    result = apply(FUSE, text, {"w": (3, 2, 3, 3), "s": (3,), "v": np.float32([1, 2, 3])})
    (layer,) = layers(result.model)
    assert (layer.rule, set(layer.sources)) == ("conv_batchnorm", {"conv", "norm"})


def times(**by_node):
    return [OperatorTime(name.partition("_")[0], "cpu", len(nodes), 0.0, nodes) for name, nodes in by_node.items()]


def seconds(operators):
    return {one.name: one.seconds for one in timed(layers(model()), model(), operators) if one.seconds is not None}


def test_time_belongs_to_the_node_of_that_name():
    assert seconds(times(Conv={"one": 1.0, "three": 2.0}, Relu={"two": 0.5})) == {"one": 1.0, "three": 2.0, "two": 0.5}


def test_what_the_runtime_fused_is_the_time_of_its_main_operator():
    assert seconds(times(Conv={"fused one": 1.0, "y_nchwc": 2.0})) == {"one": 1.0, "three": 2.0}


def test_what_the_runtime_added_for_itself_is_nobodys():
    assert seconds(times(ReorderInput={"ReorderInput_token_1": 1.0})) == {}


def test_layers_without_anything_to_tell_are_left_out():
    assert [one.name for one in worth_telling(layers(model()))] == ["one", "three"]


def test_the_heaviest_are_those_with_the_largest_share_of_anything():
    rows = [
        Layer("slow", "Relu", 0, 0, 0, 9.0),
        Layer("idle", "Add", 1, 4, 1, 0.1),
        Layer("big", "Gemm", 100, 400, 5, 0.1),
    ]
    assert [one.name for one in heaviest(rows, 2)] == ["slow", "big"]
    assert heaviest([], 2) == []


def test_sensitivity_is_what_a_rewrite_that_was_left_out_would_have_cost():
    def cost(place, limit, together=1):
        return Cost("quant", "weights", place, limit, Figure.exactly(2.5), together)

    left_out = (
        cost("Conv one", "max-drop"),
        cost("Conv three", "max-latency"),
        cost("Relu two", "max-drop", together=3),
    )
    found = sensitive(layers(model()), Budgeted((), left_out, 1))
    assert {one.name: one.sensitivity for one in found if one.sensitivity is not None} == {"one": 2.5}
