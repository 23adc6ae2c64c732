"""Attention of BERT: pruned, with values of another size, with summands the other way round, with constant masks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.published.checks import leaves, model

HIDDEN = 16


def bert(*, flip: bool = False, mask: str = "int64", ends: str = "") -> str:
    """BERT's attention between two normalisations."""

    def add(left: str, right: str) -> str:
        return f"Add({right}, {left})" if flip else f"Add({left}, {right})"

    def heads(name: str, lengths: str, perm: str) -> str:
        return (
            f"{name}p = MatMul(x, {name}w) {name}s = {add(f'{name}p', f'{name}b')}"
            f" {name}r = Reshape({name}s, {lengths}) {name}t = Transpose<perm = {perm}>({name}r) "
        )

    numbers = "m2" if mask == "float" else "m3"
    return model(
        "sum = Add(first, second) x = LayerNormalization(sum, gamma, beta) "
        + heads("q", "apart", "[0, 2, 1, 3]")
        + heads("k", "apart", "[0, 2, 3, 1]")
        + heads("v", "wide", "[0, 2, 1, 3]")
        + "m1 = Unsqueeze(mask, i1) m2 = Unsqueeze(m1, i2) "
        + ("" if mask == "float" else "m3 = Cast<to = 1>(m2) ")
        + f"m4 = Sub(one, {numbers}) m5 = Mul(m4, many) product = MatMul(qt, kt) scaled = Div(product, root)"
        f" scores = {add('scaled', 'm5')} p = Softmax<axis = 3>(scores) o = MatMul(p, vt)"
        " ot = Transpose<perm = [0, 2, 1, 3]>(o) flat = Reshape(ot, together) out = MatMul(flat, ow)"
        f" biased = {add('out', 'ob')} skipped = {add('biased', 'x')} y = LayerNormalization(skipped, gamma, beta)",
        f"float[1, 3, 16] first, float[1, 3, 16] second, {mask}[1, 3] mask",
        "float[1, 3, 16] y",
        opset=17,
    )


def weights(size: int, width: int, heads: int = 2) -> dict[str, object]:
    """size: of queries and keys, all heads together; width: of values."""
    return {
        **{f"{name}w": (HIDDEN, number) for name, number in (("q", size), ("k", size), ("v", width))},
        **{f"{name}b": (number,) for name, number in (("q", size), ("k", size), ("v", width))},
        "ow": (width, HIDDEN),
        "ob": (HIDDEN,),
        "gamma": np.ones(HIDDEN, np.float32),
        "beta": np.zeros(HIDDEN, np.float32),
        "apart": np.array([0, 0, heads, size // heads]),
        "wide": np.array([0, 0, heads, width // heads]),
        "together": np.array([0, 0, width]),
        "root": np.float32([np.sqrt(size // heads)]),
        "one": np.float32([1]),
        "many": np.float32([-10000]),
        "i1": np.array([1]),
        "i2": np.array([2]),
    }


@pytest.mark.parametrize("flip", [False, True])
def test_a_pruned_attention(flip):
    counts = {"Softmax": 0, "Attention": 1, "SkipLayerNormalization": 2, "LayerNormalization": 0, "MatMul": 1}
    made = leaves(bert(flip=flip), counts, weights(8, 8))
    (node,) = (node for node in made.graph.nodes if node.op == "Attention")
    assert node.attrs["num_heads"] == 2
    assert node.attrs["mask_filter_value"] == -10000


@pytest.mark.parametrize("size", [8, 24])
def test_values_with_a_size_of_their_own(size):
    made = leaves(bert(), {"Softmax": 0, "Attention": 1}, weights(size, 16))
    (node,) = (node for node in made.graph.nodes if node.op == "Attention")
    assert node.attrs["qkv_hidden_sizes"] == [size, size, 16]


def test_a_mask_of_floating_numbers_is_added():
    leaves(bert(mask="float"), {"Softmax": 0, "Attention": 1}, weights(8, 8))


def test_the_layers_stay_apart_where_that_is_faster():
    leaves(bert(), {"Softmax": 0, "Attention": 1, "SkipLayerNormalization": 0}, weights(8, 8), target="cpu")


def test_a_constant_mask():
    text = bert().replace(", int64[1, 3] mask", "")
    leaves(text, {"Softmax": 0, "Attention": 1}, weights(8, 8) | {"mask": np.ones((1, 3), np.int64)})
