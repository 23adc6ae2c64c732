"""Multiply-adds of single operators, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt.analysis.cost import macs
from graphopt.analysis.shapes import Shapes
from tests.support import proto

HEADER = '<ir_version: 10, opset_import: ["" : 23, "com.microsoft" : 1]>'


def cost(text: str, binding: dict[str, int] | None = None, weights: dict[str, tuple[int, ...]] | None = None):
    model = graphopt.load(
        proto(HEADER + text, {name: np.ones(shape, np.float32) for name, shape in (weights or {}).items()})
    )
    return macs(model.graph.nodes[-1], Shapes(model, binding))


CASES = {
    "a convolution: outputs x inputs of a group x kernel": (
        "g (float[1, 4, 8, 8] x) => (float[1, 6, 6, 6] y) { y = Conv <group = 2> (x, w) }",
        {"w": (6, 2, 3, 3)},
        6 * 6 * 6 * 2 * 9,
    ),
    "strides": (
        "g (float[1, 4, 8] x) => (float[1, 6, 3] y) { y = Conv <strides = [2]> (x, w) }",
        {"w": (6, 4, 3)},
        6 * 3 * 4 * 3,
    ),
    "a transposed convolution: inputs x outputs of a group x kernel": (
        "g (float[1, 4, 8] x) => (float[1, 6, 10] y) { y = ConvTranspose(x, w) }",
        {"w": (4, 6, 3)},
        4 * 8 * 6 * 3,
    ),
    "a product of matrices": (
        "g (float[2, 3, 4] x) => (float[2, 3, 5] y) { y = MatMul(x, w) }",
        {"w": (4, 5)},
        2 * 3 * 4 * 5,
    ),
    "a product of vectors": ("g (float[4] x) => (float y) { y = MatMul(x, w) }", {"w": (4,)}, 4),
    "Gemm": ("g (float[3, 4] x) => (float[3, 5] y) { y = Gemm(x, w) }", {"w": (4, 5)}, 60),
    "Gemm of a transpose": (
        "g (float[4, 3] x) => (float[3, 5] y) { y = Gemm <transA = 1, transB = 1> (x, w) }",
        {"w": (5, 4)},
        60,
    ),
    "Einsum": (
        'g (float[2, 3, 4] x) => (float[2, 3, 5] y) { y = Einsum <equation = "bij,jk->bik"> (x, w) }',
        {"w": (4, 5)},
        2 * 3 * 4 * 5,
    ),
    "Einsum that only rearranges": (
        'g (float[2, 3] x) => (float[3, 2] y) { y = Einsum <equation = "ij->ji"> (x) }',
        {},
        0,
    ),
    "LSTM": (
        "g (float[7, 1, 3] x) => (float[7, 1, 1, 5] y) { y = LSTM <hidden_size = 5> (x, w, r) }",
        {"w": (1, 20, 3), "r": (1, 20, 5)},
        7 * 20 * (3 + 5),
    ),
    "attention of heads in a dimension of their own": (
        """g (float[2, 3, 5, 8] q, float[2, 3, 7, 8] k, float[2, 3, 7, 4] v) => (float[2, 3, 5, 4] y) {
            y = Attention(q, k, v)
        }""",
        {},
        2 * 3 * 5 * 7 * (8 + 4),
    ),
    "attention of heads side by side, of which keys have fewer": (
        """g (float[2, 5, 24] q, float[2, 7, 8] k, float[2, 7, 4] v) => (float[2, 5, 12] y) {
            y = Attention <q_num_heads = 3, kv_num_heads = 1> (q, k, v)
        }""",
        {},
        2 * 3 * 5 * 7 * (8 + 4),
    ),
    "what is not made of products": ("g (float[9] x) => (float[9] y) { y = Relu(x) }", {}, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_counted_by_hand(case):
    text, weights, expected = CASES[case]
    assert cost(text, weights=weights) == expected


def test_free_dimensions_stay_in_the_result_until_they_are_bound():
    text = "g (float[n, 4] x) => (float[n, 5] y) { y = MatMul(x, w) }"
    assert str(cost(text, weights={"w": (4, 5)})) == "20*n"
    assert cost(text, {"n": 3}, {"w": (4, 5)}) == 60


def test_an_unknown_shape_is_an_unknown_cost():
    text = "g (float[3, 4] x, int64[2] s) => (float[a, b] y) { r = Reshape(x, s) y = MatMul(r, w) }"
    assert cost(text, weights={"w": (4, 5)}) is None
    assert (
        cost(
            'g (float[2, 3] x) => (float[a] y) { y = Einsum <equation = "...i,ij->...j"> (x, w) }',
            weights={"w": (3, 4)},
        )
        is None
    )
