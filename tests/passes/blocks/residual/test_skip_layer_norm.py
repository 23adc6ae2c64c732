from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from passes.blocks.residual import skip_layer_norm, skip_layer_norm_positions, skip_layer_norm_sum
from tests.support import fires, refuses

W = {
    "g": np.linspace(0.5, 2, 16, dtype=np.float32),
    "b": np.linspace(-1, 1, 16, dtype=np.float32),
    "bias": np.linspace(-2, 1, 16, dtype=np.float32),
}
X = "float[N,S,16]"
ADD = "t = Add(x, k) "
BIASED = "u = Add(x, bias) t = Add(u, k) "
NORM = "y = LayerNormalization<axis = -1, epsilon = 0.001>(t, g, b)"
ELSEWHERE = " z = Neg(t)"


def net(body: str, x: str = X, k: str = "", results: str = "") -> str:
    return f"g ({x} x, {k or x} k) => ({x} y{results}) {{ {body} }}"


@pytest.mark.parametrize("add", [ADD, "t = Add(k, x) "])
def test_a_sum_and_its_normalisation_are_one(add: str):
    model = fires(skip_layer_norm, net(add + NORM), W, leaves=["SkipLayerNormalization"])
    assert model.graph.nodes[0].attrs == {"epsilon": pytest.approx(0.001)}


@pytest.mark.parametrize("add", [BIASED, "u = Add(bias, x) t = Add(k, u) ", "u = Add(k, bias) t = Add(x, u) "])
def test_a_bias_goes_with_them(add: str):
    model = fires(skip_layer_norm, net(add + NORM), W, leaves=["SkipLayerNormalization"])
    assert len(model.graph.nodes[0].inputs) == 5


@pytest.mark.parametrize("target", ["cpu", "x64-avx2", "arm64"])
def test_not_for_a_cpu_which_is_slower_with_it(target: str):
    refuses(skip_layer_norm, net(ADD + NORM), W, target=target, reason="two to six times as long")


def test_the_default_epsilon_is_that_of_layer_normalization():
    model = fires(skip_layer_norm, net(ADD + "y = LayerNormalization(t, g)"), W, leaves=["SkipLayerNormalization"])
    assert model.graph.nodes[0].attrs == {"epsilon": 1e-5}


def test_half_precision():
    half = {name: value.astype(np.float16) for name, value in W.items()}
    fires(skip_layer_norm, net(BIASED + NORM, "float16[N,S,16]"), half, leaves=["SkipLayerNormalization"])


def test_a_sum_that_something_else_reads_comes_out_too():
    text = net(BIASED + NORM + ELSEWHERE, results=f", {X} z")
    model = fires(skip_layer_norm_sum, text, W, leaves=["SkipLayerNormalization", "Neg"])
    fused = next(node for node in model.graph.nodes if node.op == "SkipLayerNormalization")
    assert [tensor.name for tensor in fused.outputs] == ["y", "", "", "t"]


def test_a_sum_that_was_read_before_the_normalisation_comes_out_in_time():
    body = f"{ADD} z = Neg(t) {NORM}"
    fires(skip_layer_norm_sum, net(body, results=f", {X} z"), W, leaves=["SkipLayerNormalization", "Neg"])


def test_a_sum_that_the_graph_returns_keeps_its_name():
    model = fires(skip_layer_norm_sum, net(ADD + NORM, results=f", {X} t"), W, leaves=["SkipLayerNormalization"])
    assert [tensor.name for tensor in model.graph.outputs] == ["y", "t"]


def test_two_normalisations_of_one_sum():
    body = ADD + NORM + " z = LayerNormalization(t, b)"
    left = ["SkipLayerNormalization", "LayerNormalization"]
    fires(skip_layer_norm_sum, net(body, results=f", {X} z"), W, leaves=left)


def test_without_the_second_result_the_sum_must_be_used_once():
    refuses(skip_layer_norm, net(ADD + NORM + ELSEWHERE, results=f", {X} z"), W)


SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"k": "float[1,S,16]"}, "not known to have the same shape"),
    ({"k": "float[S,16]"}, "not known to have the same shape"),
    ({"k": "float[N,T,16]"}, "not known to have the same shape"),
    ({"x": "float[S,16]"}, "2 dimensions"),
    ({"x": "float[N,2,S,16]"}, "4 dimensions"),
    ({"x": "float[N,?,16]"}, "not known to have the same shape"),
]


@pytest.mark.parametrize(("shapes", "reason"), SHAPES)
def test_shapes_must_be_known_and_equal(shapes: dict[str, str], reason: str):
    text = net(ADD + NORM, **shapes)
    refuses(skip_layer_norm, text.replace("(float[N,S,16] y", "(float[?,?,16] y"), W, reason=reason)


def test_only_the_last_dimension_may_be_normalised():
    scale = {"g": np.ones((4, 16), np.float32), "b": np.ones((4, 16), np.float32)}
    norm = "y = LayerNormalization<axis = 1>(t, g, b)"
    refuses(skip_layer_norm, net(ADD + norm, "float[N,4,16]"), scale, reason="more than the last dimension")


@pytest.mark.parametrize("shape", [(1,), (5, 16), (1, 1, 16)])
def test_only_vectors_scale_and_move_the_rows(shape: tuple[int, ...]):
    text, other = net(BIASED + NORM, "float[N,5,16]"), np.ones(shape, np.float32)
    for name in ("g", "b"):
        refuses(skip_layer_norm, text, W | {name: other}, reason="scale and offset are not known to be vectors")
    fires(skip_layer_norm, text, W | {"bias": other}, leaves=["Add", "SkipLayerNormalization"])


def test_statistics_in_another_type_are_not_computed_by_it():
    norm = NORM.replace("axis = -1", "axis = -1, stash_type = 16")
    refuses(skip_layer_norm, net(ADD + norm), W, reason="not computed in float32")


def test_a_mean_that_is_used_is_not_computed_by_it():
    body = ADD + "y, m = LayerNormalization(t, g, b)"
    refuses(skip_layer_norm, net(body, results=", float[N,S,1] m"), W, reason="the mean or the deviation")


def test_positions_that_are_the_same_for_each_batch():
    text = net(ADD + NORM, k="float[1,S,16]")
    fires(skip_layer_norm_positions, text, W, leaves=["SkipLayerNormalization"])
    fires(
        skip_layer_norm_positions, net("t = Add(k, x) " + NORM, k="float[1,S,16]"), W, leaves=["SkipLayerNormalization"]
    )


@pytest.mark.parametrize("k", ["float[S,16]", "float[1,1,16]", "float[1,T,16]"])
def test_other_summands_are_no_positions(k: str):
    text = net(ADD + NORM, k=k).replace("(float[N,S,16] y", "(float[?,?,16] y")
    refuses(skip_layer_norm_positions, text, W, reason="same shape")


def test_positions_that_a_table_cuts_off():
    body = "n = Shape<start = 1, end = 2>(x) k = Slice(table, zero, n, one) " + ADD + NORM
    table = {"table": np.ones((1, 8, 16), np.float32), "zero": np.array([0]), "one": np.array([1])}
    left = ["Shape", "Slice", "SkipLayerNormalization"]
    fires(skip_layer_norm_positions, f"g ({X} x) => ({X} y) {{ {body} }}", W | table, leaves=left)
    single = table | {"table": np.ones((1, 1, 16), np.float32)}
    refuses(skip_layer_norm_positions, f"g ({X} x) => ({X} y) {{ {body} }}", W | single, reason="same shape")


def test_a_scale_that_is_made_of_the_sum_keeps_it_outside():
    body = ADD + "own = ReduceMean<keepdims = 0>(t, i01) y = LayerNormalization(t, own)" + ELSEWHERE
    text = net(body, results=f", {X} z")
    refuses(skip_layer_norm_sum, text, {"i01": np.array([0, 1])}, reason="may be made of the sum")
