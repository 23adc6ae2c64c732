from __future__ import annotations

import numpy as np
import pytest

from graphopt.analysis.shapes import Shapes
from graphopt.ir.reader import load
from graphopt.ir.values import constant
from graphopt.numerics.domains import domain_of
from graphopt.numerics.feeds import KINDS, Between, Choice, FeedPlan, Fixed, Index, InputSpec, NonZero, Positive, Real
from graphopt.numerics.run import run
from tests.numerics.models import model

SIGNED = {"signed": True}


class Declared:
    """Knows what the model declares, outputs included."""

    def static(self, tensor):
        return tuple(tensor.shape) if tensor.shape is not None else None

    def known(self, tensor):
        held = constant(tensor)
        return None if held is None else held.values


def domain(text, name="i"):
    graph = load(model(text))
    return domain_of(next(t for t in graph.graph.inputs if t.name == name), Shapes(graph))


def plan(message, kind):
    graph = load(message)
    shapes = Shapes(graph)
    inputs = graph.graph.inputs
    specs = [InputSpec(t.name, np.dtype(t.dtype), shapes.static(t), domain_of(t, shapes)) for t in inputs]
    return FeedPlan(tuple(specs), 1, kind)


# (inputs, body, the domain of i)
ASKS = [
    ("float[3,5] x, int64[4] i", "y = Gather <axis = 1> (x, i)", Index(5, **SIGNED)),
    ("float[3,5] x, int64[3,2] i", "y = GatherElements <axis = -1> (x, i)", Index(5, **SIGNED)),
    ("float[3,5] x, int64[4,2] i", "y = GatherND(x, i)", Index(3, **SIGNED)),
    ("float[3,5] x, int64[3,1] i", "y = GatherND <batch_dims = 1> (x, i)", Index(5, **SIGNED)),
    ("float[3,5] x, int64[4,1] i, float[4,5] u", "y = ScatterND(x, i, u)", Index(3, **SIGNED)),
    ("float[3,5] x, int64[1,5] i, float[1,5] u", "y = ScatterElements(x, i, u)", Index(3, **SIGNED)),
    (
        "int64[4] i, float[2] v",
        "d = Constant <value = int64 {7}> () y = OneHot(i, d, v)",
        Index(7, **SIGNED),
    ),
    ("float[2,3,4] x, int64[2,4] i", "y = NegativeLogLikelihoodLoss(x, i)", Index(3)),
    ("float[6] i", "y = Log(i)", Positive()),
    ("float[6] i", "y = Sqrt(i)", Positive()),
    ("float[6] x, float[6] i", "y = Div(x, i)", NonZero()),
    ("float[6] i, float[6] x", "y = Div(i, x)", Real()),
    ("float[6] i", "e = Constant <value = float {0.5}> () y = Pow(i, e)", Positive()),
    ("float[6] i", "e = Constant <value = float {2.0}> () y = Pow(i, e)", Real()),
    ("float[6] i, float[6] e", "y = Pow(i, e)", Positive()),
    ("float[1,3,4] x, float[3] s, float[3] i", "y = BatchNormalization(x, s, s, s, i)", Positive()),
    ("float[6] i", "y = Acos(i)", Between(-1, 1)),
    ("float[4] x, float i", "y, m = Dropout(x, i)", Between(0, 1)),
    ("float[4] x, bool i", "r = Constant <value = float {0.5}> () y = Dropout(x, r, i)", Fixed((False,))),
    ("int64 i, float[2] x",
     "y = Loop <body = b (int64 n, bool c, float[2] v) => (bool d, float[2] w) { d = Not(c) w = Neg(v) }> (i, , x)",
     Between(1, 3)),
    ("int32[2,5] i, int32[2,5] s, float[9,4] w, float[6,4] p, float[2,4] q, float[4] g",
     "y, m = com.microsoft.EmbedLayerNormalization(i, s, w, p, q, g, g)", Index(9)),
    ("int32[2,5] s, int32[2,5] i, float[9,4] w, float[6,4] p, float[2,4] q, float[4] g",
     "y, m = com.microsoft.EmbedLayerNormalization(s, i, w, p, q, g, g)", Index(2)),
    ("float[2,5,12] x, float[12,36] w, float[36] b, int32[2,5] i",
     "y = com.microsoft.Attention <num_heads = 4> (x, w, b, i)", Index(2)),
    ("float[2,5,12] x, float[12,36] w, float[36] b, int32[2] i",
     "y = com.microsoft.Attention <num_heads = 4> (x, w, b, i)", Between(1, 5)),
    ("int64[4] i", "y = ai.onnx.ml.LabelEncoder <keys_int64s = [3, 5], values_int64s = [0, 1]> (i)", Choice((3, 5))),
    ("float[5,2,3] x, float[1,6,3] w, float[1,6,2] r, int32[2] i",
     "y = GRU <hidden_size = 2> (x, w, r, , i)", Between(1, 5)),
    ("float[6] i", "y = Relu(i)", Real()),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "body", "expected"), ASKS, ids=[body[:60] for _, body, _ in ASKS])
def test_what_an_operator_asks(inputs, body, expected):
    assert domain(f"agraph ({inputs}) => (y) {{ {body} }}") == expected


# what follows from a known shape of the output: (inputs, outputs, body, values of i)
SIZES = [
    ("float[2,6] x, int64[2] i", "float[3,4] y", "y = Reshape(x, i)", (3, 4)),
    ("float[2,1] x, int64[2] i", "float[2,5] y", "y = Expand(x, i)", (2, 5)),
    ("int64[2] i", "float[2,3] y", "y = ConstantOfShape(i)", (2, 3)),
    ("float[2,3] x, int64[2] i", "float[4,9] y", "y = Tile(x, i)", (2, 3)),
    ("float[2,3] x, int64[4] i", "float[2,5] y", "y = Pad(x, i)", (0, 0, 0, 2)),
    (
        "float[2,9] x, int64[2] i",
        "float[2,4] y",
        "s = Constant <value = int64[2] {0, 0}> () y = Slice(x, s, i)",
        (2, 4),
    ),
    ("float[1,1,4,4] x, float[4] i", "float[1,1,8,8] y", "y = Resize(x, , i)", (1, 1, 2, 2)),
    ("float[3,9] x, int64[1] i", "float[3,4] y, int64[3,4] z", "y, z = TopK(x, i)", (4,)),
    ("float[9] x, int64[2] i", "float[4] y, float[5] z", "y, z = Split(x, i)", (4, 5)),
]


@pytest.mark.parametrize(("inputs", "outputs", "body", "values"), SIZES, ids=[body for _, _, body, _ in SIZES])
def test_sizes_follow_from_the_output(inputs, outputs, body, values):
    graph = load(model(f"agraph ({inputs}) => ({outputs}) {{ {body} }}")).graph
    assert domain_of(next(t for t in graph.inputs if t.name == "i"), Declared()) == Fixed(values)


@pytest.mark.parametrize(("inputs", "outputs", "body"), [size[:3] for size in SIZES], ids=[size[2] for size in SIZES])
def test_without_the_output_sizes_are_guessed_so_that_it_runs(inputs, outputs, body):
    names = ", ".join(part.split()[1] for part in outputs.split(", "))
    message = model(f"agraph ({inputs}) => ({names}) {{ {body} }}")
    if body != "y, z = Split(x, i)":
        assert run(message, plan(message, "normal"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("j = Cast <to = 7> (i) y = Gather(x, j)", Index(3, **SIGNED)),
        (
            "a = Constant <value = int64[1] {0}> () k = Unsqueeze(i, a) j = Squeeze(k, a) y = Gather(x, j)",
            Index(3, **SIGNED),
        ),
        ("j = Concat <axis = 0> (i, i) y = Gather(x, j)", Index(3, **SIGNED)),
        ("j = Transpose(i) a = Identity(j) y = Gather(x, a)", Index(3, **SIGNED)),
        ("j = Neg(i) y = Gather(x, j)", Real()),
        ("a = Gather(x, i) b = Transpose(x) y = Gather(b, i)", Index(2, **SIGNED)),
    ],
)
def test_an_index_is_followed_to_its_reader(body, expected):
    assert domain(f"agraph (float[3,2] x, int32[4] i) => (y) {{ {body} }}") == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("e = Constant <value = float {1e-5}> () j = Add(i, e) y = Sqrt(j)", Positive()),
        ("e = Constant <value = float {2}> () j = Mul(e, i) k = Reshape(j, s) y = Log(k)", Positive()),
        ("e = Constant <value = float {-1}> () j = Mul(i, e) y = Sqrt(j)", Real()),
        ("e = Constant <value = float {-1}> () j = Add(i, e) y = Sqrt(j)", Real()),
        ("e = Constant <value = float {2}> () j = Mul(i, e) y = Acos(j)", Real()),
    ],
)
def test_a_sign_is_followed_through_what_keeps_it(body, expected):
    assert domain(f"agraph (float[4] i, int64[1] s) => (y) {{ {body} }}") == expected


def test_an_index_is_followed_into_a_loop():
    text = """agraph (float[3,2] x, int64[4] i, int64 n) => (y) {
        y = Loop <body = b (int64 k, bool c, int64[4] v) => (bool d, int64[4] w) {
            d = Identity(c) u = Gather(x, v) w = Identity(v) }> (n, , i)
    }"""
    assert domain(text) == Index(3, **SIGNED)


def test_known_values_are_the_domain():
    graph = load(model("agraph (float[3,2] x) => (y) { s = Shape(x) y = Reshape(x, s) }"))
    assert domain_of(graph.graph.nodes[0].outputs[0], Shapes(graph)) == Fixed((3, 2))


def test_a_wide_model_is_not_walked_to_its_end():
    chain = " ".join(f"i{k + 1} = Identity(i{k})" for k in range(300))
    near = "agraph (float[3,2] x, int64[4] i0) => (y) { " + chain + " y = Gather(x, i20) }"
    far = "agraph (float[3,2] x, int64[4] i0) => (y) { " + chain + " y = Gather(x, i300) }"
    assert domain(near, "i0") == Index(3, **SIGNED)
    assert domain(far, "i0") == Real()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("inputs", "body"), [ask[:2] for ask in ASKS], ids=[body[:60] for _, body, _ in ASKS])
def test_feeds_out_of_the_domains_run(inputs, body, kind):
    message = model(f"agraph ({inputs}) => (y) {{ {body} }}")
    assert run(message, plan(message, kind))
