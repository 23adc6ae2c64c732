import numpy as np
import pytest

from tests.support import apply, fires, operators, refuses

STEP = "clean:only=common_subexpressions"


def text(body, outputs="float[N, 4] y", inputs="float[N, 4] x", weights=""):
    return f"m ({inputs}) => ({outputs}) {weights} {{ {body} }}"


def test_the_same_call():
    fires(STEP, text("a = Relu(x)  b = Relu(x)  y = Add(a, b)"), leaves=["Relu", "Add"])


def test_whole_branches():
    body = "a = Relu(x)  b = Relu(x)  c = Neg(a)  d = Neg(b)  e = Abs(c)  f = Abs(d)  y = Add(e, f)"
    fires(STEP, text(body), leaves=["Relu", "Neg", "Abs", "Add"])


def test_operands_in_another_order():
    body = "a = Add(x, z)  b = Add(z, x)  y = Mul(a, b)"
    fires(STEP, text(body, inputs="float[N, 4] x, float[N, 4] z"), leaves=["Add", "Mul"])


def test_several_outputs():
    body = (
        "a, b = Split<num_outputs=2, axis=1>(x)  c, d = Split<num_outputs=2, axis=1>(x)  y = Mul(a, d)  z = Mul(b, c)"
    )
    fires(STEP, text(body, "float[N, 2] y, float[N, 2] z"), leaves=["Split", "Mul", "Mul"])


def test_attributes_that_are_tensors():
    body = """s = Shape(x)
    a = ConstantOfShape<value = float[1] {3}>(s)
    b = ConstantOfShape<value = float[1] {3}>(s)
    c = ConstantOfShape<value = float[1] {4}>(s)
    p = Mul(a, x)
    q = Add(b, p)
    y = Add(c, q)"""
    fires(STEP, text(body), leaves={"Shape": 1, "ConstantOfShape": 2, "Mul": 1, "Add": 2})


def test_one_of_them_is_returned():
    model = fires(
        STEP, text("a = Relu(x)  b = Relu(x)  y = Neg(a)", "float[N, 4] y, float[N, 4] b"), leaves=["Relu", "Neg"]
    )
    assert [output.name for output in model.graph.outputs] == ["y", "b"]


def test_equal_lengths_of_different_tensors():
    body = """a = Relu(x)
    s = Shape<end=1>(x)
    t = Shape(a)
    g = Gather(t, zero)
    u = Unsqueeze(g, zeros)
    c = Concat<axis=0>(s, u, zeros)
    y = Expand(x, c)"""
    weights = "<int64 zero = {0}, int64[1] zeros = {0}>"
    model = apply(STEP, text(body, "float[A, B, C] y", "float[N, 1] x", weights)).model
    concat = next(node for node in model.graph.nodes if node.op == "Concat")
    assert concat.inputs[0] is concat.inputs[1]


def test_a_nested_graph_uses_what_the_outer_one_has_computed():
    body = """r = Relu(x)
    y = If(b) <then_branch = t () => (float[N, 4] p) { i = Relu(x)  p = Neg(i) },
               else_branch = e () => (float[N, 4] q) { j = Relu(x)  q = Add(j, r) }>"""
    model = fires(STEP, text(body, inputs="bool b, float[N, 4] x"), leaves=["Relu", "If"])
    assert [len(branch.nodes) for branch in model.graph.nodes[1].attrs.values()] == [1, 1]


def test_not_of_what_comes_after_the_nested_graph():
    body = """p = If(b) <then_branch = t () => (float[N, 4] p1) { i = Relu(x)  p1 = Neg(i) },
                         else_branch = e () => (float[N, 4] p2) { p2 = Neg(x) }>
    r = Relu(x)
    y = Add(p, r)"""
    refuses(STEP, text(body, inputs="bool b, float[N, 4] x"))


@pytest.mark.parametrize(
    "body",
    [
        "a = Neg(x)  b = Abs(x)  y = Add(a, b)",
        "a = LeakyRelu<alpha=0.1>(x)  b = LeakyRelu<alpha=0.2>(x)  y = Add(a, b)",
        "a = Sub(x, z)  b = Sub(z, x)  y = Add(a, b)",
        "a = RandomNormalLike(x)  b = RandomNormalLike(x)  y = Add(a, b)",
        "a = RandomUniformLike<seed=1.0>(x)  b = RandomUniformLike<seed=1.0>(x)  y = Add(a, b)",
        "a = Softmax<axis=0>(x)  b = Softmax(x)  y = Add(a, b)",
    ],
)
def test_not_if_anything_differs_or_is_random(body):
    model = text(body, inputs="float[N, 4] x, float[N, 4] z")
    result = apply(STEP, model)
    assert not result.report.rewrites
    assert operators(result.model).total() == 3


def test_not_if_both_are_returned():
    refuses(STEP, text("y = Relu(x)  z = Relu(x)", "float[N, 4] y, float[N, 4] z"))


def test_not_of_operators_that_nobody_knows():
    from onnx import parser

    import graphopt

    model = parser.parse_model("""<ir_version: 10, opset_import: ["" : 21, "acme" : 1]>
    m (float[N] x) => (float[N] y) { a = acme.Noise(x)  b = acme.Noise(x)  y = Add(a, b) }""")
    result = graphopt.optimize(model, passes=STEP, verify="structure")
    assert operators(result.model)["Noise"] == 2


def test_equal_integers_are_checked_together_with_what_they_follow_from():
    """Without that, the double of another rule's making would be fed with numbers of its own."""
    header = '<ir_version: 8, opset_import: ["" : 12]>'
    text = f"""{header} g (bool[N, 1, N] x) => (double[1] p, int64[1] y) {{
        s = Shape(x)  a = Gather(s, two)  b = Gather(s, one)  c = Max(a, b)
        d = Cast<to = 11>(c)  p = ReduceProd<axes = [-1]>(d)  e = Cast<to = 7>(d)  y = Neg(e)
    }}"""
    result = apply("clean", text, {"two": np.array([2]), "one": np.array([1])})
    assert not result.report.rolled_back, result.report
    assert result.report.hits["common_subexpressions"] == 1
