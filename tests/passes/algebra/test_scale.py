import numpy as np
import pytest

from passes.algebra import scale_to_weights, shift_to_weights
from tests.support import fires, refuses


def positive(*shape):
    return np.random.default_rng(3).uniform(0.5, 2, shape).astype(np.float32)


def picture(body, factor=(4, 1, 1), more=""):
    return f"g (float[N,3,8,8] x{more}) => (float[A,B,C,D] y) {{ {body} y = Mul (z, s) }}", {"s": positive(*factor)}


CONV = {"w": (4, 3, 3, 3), "b": (4,)}


@pytest.mark.parametrize(
    "between",
    [
        "z = Relu (a)",
        "z = LeakyRelu <alpha = 0.1> (a)",
        "z = MaxPool <kernel_shape = [2,2]> (a)",
        "z = AveragePool <kernel_shape = [2,2], pads = [1,1,1,1]> (a)",
        "z = GlobalAveragePool (a)",
        "c = Relu (a) z = GlobalMaxPool (c)",
    ],
)
def test_past_activations_and_pooling(between):
    text, held = picture(f"a = Conv (x, w, b) {between}")
    left = ["Conv", *[word for word in between.split() if word[0].isupper()]]
    fires(scale_to_weights, text, {**CONV, **held}, leaves=left)


def test_past_a_transpose_as_layer_scale_is_spelled():
    text = """g (float[N,8,8,6] x) => (float[N,4,8,8] y) {
        a = MatMul (x, w) c = Add (a, b) z = Transpose <perm = [0,3,1,2]> (c) y = Mul (z, s) }"""
    held = {"w": (6, 4), "b": (4,), "s": positive(4, 1, 1)}
    fires(scale_to_weights, text, held, leaves=["MatMul", "Add", "Transpose"])


@pytest.mark.parametrize("factor", [(), (1,), (2, 1, 3)])
def test_past_the_heads_of_attention(factor):
    text = """g (float[N,S,6] x) => (float[N,2,S,3] y) {
        a = MatMul (x, w) c = Add (a, b) h = Reshape (c, shape) z = Transpose <perm = [0,2,1,3]> (h) y = Mul (z, s) }"""
    held = {"w": (6, 6), "b": (6,), "s": positive(*factor), "shape": np.array([0, 0, 2, 3])}
    fires(scale_to_weights, text, held, leaves=["MatMul", "Add", "Reshape", "Transpose"])


def test_into_every_branch_of_a_concatenation():
    text, held = picture("a = Conv (x, w, b) c = Conv (x, v) z = Concat <axis = 1> (a, c)", (6, 1, 1))
    fires(scale_to_weights, text, {**CONV, **held, "v": (2, 3, 3, 3)}, leaves=["Conv", "Conv", "Concat"])


def test_into_both_terms_of_a_sum():
    text, held = picture("a = Conv (x, w, b) c = Conv (x, v) z = Add (a, c)")
    fires(scale_to_weights, text, {**CONV, **held, "v": (4, 3, 3, 3)}, leaves=["Conv", "Conv", "Add"])


def test_into_gemm_and_what_follows_it():
    text = """g (float[N,6] x) => (float[N,1,4] y) {
        a = Gemm <transB = 1> (x, w, b) r = Relu (a) z = Unsqueeze (r, axes) y = Mul (z, s) }"""
    held = {"w": (4, 6), "b": (4,), "s": positive(4), "axes": np.array([1])}
    fires(scale_to_weights, text, held, leaves=["Gemm", "Relu", "Unsqueeze"])


def test_into_normalisations():
    text = """g (float[N,5,4] x) => (float[N,4,5] y) {
        a = LayerNormalization (x, g1, b1) z = Transpose <perm = [0,2,1]> (a) y = Mul (z, s) }"""
    fires(
        scale_to_weights,
        text,
        {"g1": (4,), "b1": (4,), "s": positive(4, 1)},
        leaves=["LayerNormalization", "Transpose"],
    )
    text, held = picture("a = BatchNormalization (x, p, q, m, v) z = Relu (a)", (3, 1, 1))
    held |= {name: positive(3) for name in "pqmv"}
    fires(scale_to_weights, text, held, leaves=["BatchNormalization", "Relu"])


REFUSED = {
    "negative": ("a = Conv (x, w, b) z = Relu (a)", -positive(4, 1, 1), "not positive"),
    "negative, past pooling": (
        "a = Conv (x, w, b) z = MaxPool <kernel_shape = [2,2]> (a)",
        -positive(4, 1, 1),
        "not positive",
    ),
    "places": (
        "a = Conv (x, w, b) z, i = MaxPool <kernel_shape = [2,2]> (a) k = Neg (i)",
        positive(4, 1, 1),
        "tells places",
    ),
    "in training": (
        "a, m, t = BatchNormalization <training_mode = 1> (x, n, n, n, n) z = Relu (a)",
        positive(3, 1, 1),
        "training",
    ),
    "whole pictures": ("a = LayerNormalization <axis = 1> (x, o) z = Relu (a)", positive(8), "the last axis alone"),
    "along pixels": ("a = Conv (x, w, b) z = Relu (a)", positive(6), "along axis 3"),
    "pooled pixels": ("a = Conv (x, w, b) z = MaxPool <kernel_shape = [1,1]> (a)", positive(6, 1), "works on"),
    "curved": ("a = Conv (x, w, b) z = Sigmoid (a)", positive(4, 1, 1), "Sigmoid lets no factor through"),
    "an input": ("z = Relu (x)", positive(3, 1, 1), "an input of the graph"),
    "a sum with an input": ("a = Conv (x, w, b) z = Add (a, p)", positive(4, 1, 1), "an input of the graph"),
    "a spread summand": (
        "a = Conv (x, w, b) r = GlobalMaxPool (a) c = Conv (x, v) z = Add (r, c)",
        positive(4, 1, 1),
        "spread out",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    body, factor, reason = REFUSED[case]
    text, _ = picture(body, more=", float[N,4,6,6] p")
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    known = {**CONV, "v": (4, 3, 3, 3), "n": positive(3), "o": (3, 8, 8)}
    held = {name: shape for name, shape in known.items() if name in words}
    refuses(scale_to_weights, text, {**held, "s": factor}, reason=reason)


@pytest.mark.parametrize(("rule", "op"), [(scale_to_weights, "Mul"), (shift_to_weights, "Add")])
def test_since_arithmetic_repeats_its_operands(rule, op):
    text, held = picture("a = Conv (x, w, b) z = GlobalMaxPool (a)", (1, 4, 1, 1))
    text = f'<ir_version: 3, opset_import: ["" : 7]> {text.replace("Mul", op)}'
    fires(rule, text, {**CONV, **held}, leaves=["Conv", "GlobalMaxPool"])


def test_refuses_a_factor_with_more_dimensions():
    text, held = picture("a = Conv (x, w, b) z = Relu (a)", (1, 1, 4, 1, 1))
    refuses(scale_to_weights, text.replace("[A,B,C,D]", "[A,B,C,D,E]"), {**CONV, **held}, reason="more dimensions")


def test_refuses_whole_numbers():
    text = "g (int32[N,6] x) => (int32[4,N] y) { a = MatMul (x, w) z = Transpose (a) y = Mul (z, s) }"
    held = {"w": np.ones((6, 4), np.int32), "s": np.full((4, 1), 2, np.int32)}
    refuses(scale_to_weights, text, held, reason="not known to be floating")


def test_refuses_unknown_shapes():
    text = "g (float[N,6] x, int64[K] t) => (y) { a = MatMul (x, w) z = Reshape (a, t) y = Mul (z, s) }"
    refuses(scale_to_weights, text, {"w": (6, 4), "s": positive(4)}, reason="a shape is not known")


def test_refuses_what_others_read():
    text = """g (float[N,3,8,8] x) => (float[N,4,6,6] y, float[N,4,6,6] a) {
        a = Conv (x, w, b) z = Relu (a) y = Mul (z, s) }"""
    refuses(scale_to_weights, text, {**CONV, "s": positive(4, 1, 1)}, reason="used elsewhere")


def test_refuses_a_factor_that_makes_the_result_larger():
    text = "g (float[N,3,8,8] x) => (float[N,4,6,6] y) { a = Conv (x, w) z = Relu (a) y = Mul (z, s) }"
    refuses(scale_to_weights, text, {"w": (1, 3, 3, 3), "s": positive(4, 1, 1)}, reason="larger")


def shifted(body, summand=(4, 1, 1)):
    return f"g (float[N,3,8,8] x) => (float[A,B,C,D] y) {{ {body} y = Add (z, s) }}", {"s": summand}


@pytest.mark.parametrize("bias", [", b", ""])
@pytest.mark.parametrize(
    "between", ["MaxPool <kernel_shape = [2,2], pads = [1,1,1,1]>", "GlobalAveragePool", "GlobalMaxPool"]
)
def test_summands_past_pooling(between, bias):
    text, held = shifted(f"a = Conv (x, w{bias}) z = {between} (a)")
    fires(
        shift_to_weights,
        text,
        {"w": (4, 3, 3, 3), **held} | ({"b": (4,)} if bias else {}),
        leaves=["Conv", between.split()[0]],
    )


def test_a_bias_after_the_transpose():
    text = """g (float[N,3,8,8] x) => (float[N,6,6,4] y) {
        a = Conv (x, w) z = Transpose <perm = [0,2,3,1]> (a) y = Add (z, s) }"""
    fires(shift_to_weights, text, {"w": (4, 3, 3, 3), "s": (4,)}, leaves=["Conv", "Transpose"])


def test_a_bias_after_what_is_joined_and_reshaped():
    text = """g (float[N,3,8,8] x) => (float[N,6,36] y) { a = Conv (x, w, b) c = Conv (x, v)
        j = Concat <axis = 1> (a, c) z = Reshape (j, shape) y = Add (z, s) }"""
    held = {**CONV, "v": (2, 3, 3, 3), "s": (6, 1), "shape": np.array([0, 6, 36])}
    fires(shift_to_weights, text, held, leaves=["Conv", "Conv", "Concat", "Reshape"])


def test_a_bias_after_the_heads():
    text = """g (float[N,S,6] x) => (float[N,2,S,3] y) {
        a = MatMul (x, w) c = Add (a, b) h = Reshape (c, shape) z = Transpose <perm = [0,2,1,3]> (h) y = Add (z, s) }"""
    held = {"w": (6, 6), "b": (6,), "s": (2, 1, 3), "shape": np.array([0, 0, 2, 3])}
    fires(shift_to_weights, text, held, leaves=["MatMul", "Add", "Reshape", "Transpose"])


def test_a_summand_of_gemm_with_a_factor():
    text = """g (float[N,6] x) => (float[N,4,1] y) {
        a = Gemm <beta = 0.5, transB = 1> (x, w) z = Unsqueeze (a, axes) y = Add (z, s) }"""
    fires(shift_to_weights, text, {"w": (4, 6), "axes": np.array([2]), "s": (4, 1)}, leaves=["Gemm", "Unsqueeze"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("a = Conv (x, w, b) z = Relu (a)", "Relu lets no summand through"),
        (
            "a = Conv (x, w, b) z = AveragePool <kernel_shape = [2,2], pads = [1,1,1,1], count_include_pad = 1> (a)",
            "no summand",
        ),
        ("z = Conv (x, w, b)", "takes it in by itself"),
        ("a = Conv (x, w, b) c = Neg (a) d = Add (a, c) z = GlobalMaxPool (d)", "neither of what is added"),
    ],
)
def test_refuses_summands(body, reason):
    text, held = shifted(body)
    refuses(shift_to_weights, text, {**CONV, **held}, reason=reason)


@pytest.mark.parametrize(
    ("norm", "reason"),
    [
        ("a = LayerNormalization <axis = 1> (x, o)", "the last axis alone"),
        ("a, m, t = BatchNormalization <training_mode = 1> (x, n, n, n, n)", "in training mode"),
    ],
)
def test_refuses_summands_of_other_normalisations(norm, reason):
    text, held = shifted(f"{norm} z = GlobalMaxPool (a)", (3, 1, 1))
    held |= {"o": (3, 8, 8)} if "o)" in norm else {"n": positive(3)}
    refuses(shift_to_weights, text, held, reason=reason)


def test_refuses_a_summand_of_gemm_that_takes_none():
    text = """g (float[N,6] x) => (float[N,4,1] y) {
        a = Gemm <beta = 0.0> (x, w, b) z = Unsqueeze (a, axes) y = Add (z, s) }"""
    held = {"w": (6, 4), "b": (4,), "axes": np.array([2]), "s": (4, 1)}
    refuses(shift_to_weights, text, held, reason="Gemm leaves its summand out")
