"""Activations, as Hugging Face, Megatron and OpenAI spell them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.published.checks import leaves, model

IO = "float[batch, seqlen, 64] x", "float[batch, seqlen, 64] y"
NUMBERS = {
    "half": np.float32(0.5),
    "one": np.float32(1),
    "three": np.float32(3),
    "root2": np.float32(np.sqrt(2)),
    "near_root2": np.float32(1.41421),
    "slope": np.float32(0.7978845608),
    "cube": np.float32(0.044715),
    "bias": np.linspace(0, 0.63, 64, dtype=np.float32),
}
ERF = {
    "huggingface": "a = Mul({x}, half) d = Div({x}, root2) e = Erf(d) s = Add(e, one) y = Mul(a, s)",
    "one is first": "a = Mul({x}, half) d = Div({x}, root2) e = Erf(d) s = Add(one, e) y = Mul(a, s)",
    "the half is last": "d = Div({x}, root2) e = Erf(d) s = Add(e, one) a = Mul({x}, s) y = Mul(a, half)",
}
TANH = {
    "huggingface": "a = Mul({x}, half) n = Mul({x}, slope) c = Mul({x}, cube) q = Mul(c, {x}) s = Add(q, one)"
    " m = Mul(n, s) t = Tanh(m) u = Add(t, one) y = Mul(a, u)",
    "megatron": "a = Mul({x}, half) n = Mul(slope, {x}) c = Mul({x}, cube) q = Mul(c, {x}) s = Add(one, q)"
    " m = Mul(n, s) t = Tanh(m) u = Add(one, t) y = Mul(a, u)",
    "openai": "p = Pow({x}, three) c = Mul(p, cube) s = Add({x}, c) n = Mul(s, slope) t = Tanh(n) u = Add(t, one)"
    " a = Mul({x}, half) z = Mul(a, u) y = Identity(z)",
}
PIECES = ("Add", "Mul", "Div", "Erf", "Tanh", "Pow", "Identity")


def activation(body: str, **more: int) -> tuple[str, dict[str, int], dict[str, object]]:
    """The model of a body, what is left, and the constants that it reads."""
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    weights = {name: number for name, number in NUMBERS.items() if name in words}
    return model(body, *IO), dict.fromkeys(PIECES, 0) | more, weights


@pytest.mark.parametrize("spelling", ERF)
def test_gelu(spelling):
    leaves(*activation(ERF[spelling].format(x="x"), Gelu=1))


@pytest.mark.parametrize("spelling", TANH)
def test_fast_gelu(spelling):
    leaves(*activation(TANH[spelling].format(x="x"), FastGelu=1))


@pytest.mark.parametrize("add", ["b = Add(x, bias)", "b = Add(bias, x)"])
def test_gelu_of_a_bias(add):
    leaves(*activation(f"{add} {ERF['huggingface'].format(x='b')}", BiasGelu=1, Gelu=0))


@pytest.mark.parametrize("add", ["b = Add(x, bias)", "b = Add(bias, x)"])
def test_fast_gelu_of_a_bias(add):
    leaves(*activation(f"{add} {TANH['openai'].format(x='b')}", FastGelu=1))


def test_gelu_of_a_product_with_a_bias():
    body = f"p = MatMul(x, w) b = Add(p, bias) {ERF['huggingface'].format(x='b')}"
    text, counts, weights = activation(body, MatMul=1, BiasGelu=1)
    leaves(text, counts, weights | {"w": (64, 64)})


def test_gelu_with_a_rough_root():
    leaves(*activation("a = Mul(x, half) d = Div(x, near_root2) e = Erf(d) s = Add(e, one) y = Mul(a, s)", Gelu=1))


def test_quick_gelu():
    slope = {"slope": np.float32(1.702)}
    text = model("s = Mul(x, slope) g = Sigmoid(s) y = Mul(x, g)", *IO)
    leaves(text, {"Mul": 0, "Sigmoid": 0, "QuickGelu": 1}, slope)
