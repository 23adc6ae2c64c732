import numpy as np
import onnx
import pytest

from graphopt.analysis import Shapes, TypeInfo, inference
from graphopt.analysis.types import SymbolicArray
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Constant, Graph, Node, Stored, Variable
from tests.support import proto

FLOAT = np.dtype(np.float32)


def model_of(text, weights=None, **kinds):
    """A model from onnx text whose outputs are not declared; `kinds` are declared types of intermediate tensors."""
    message = proto(text, weights)
    for output in message.graph.output:
        output.ClearField("type")
    for name, dims in kinds.items():
        message.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims))
    return load(message)


def analysed(text, weights=None, binding=None, **kinds):
    """The analysis of a model from onnx text, and its first output."""
    model = model_of(text, weights, **kinds)
    return Shapes(model, binding), model.graph.outputs[0]


HEADS = """g (float[batch, seq, 768] x) => (float y) {
    s = Shape(x)
    zero = Constant<value_int = 0>()  one = Constant<value_int = 1>()  axis = Constant<value_ints = [0]>()
    b = Gather<axis = 0>(s, zero)     t = Gather<axis = 0>(s, one)
    b1 = Unsqueeze(b, axis)           t1 = Unsqueeze(t, axis)
    rest = Constant<value_ints = [12, 64]>()
    target = Concat<axis = 0>(b1, t1, rest)
    y = Reshape(x, target)
}"""


def named(shapes, name):
    nodes = shapes.model.graph.nodes
    return next(t for node in nodes for t in node.outputs if t.name == name)


def test_values_of_a_computed_shape_are_known_symbolically():
    shapes, y = analysed(HEADS)
    values = shapes.integers(named(shapes, "target"))
    assert [str(element) for element in values.elements] == ["batch", "seq", "12", "64"]
    assert shapes.known(named(shapes, "target")) is None
    assert shapes.type(y) == TypeInfo(FLOAT, ("batch", "seq", 12, 64))
    assert shapes.dtype(y) == FLOAT
    assert shapes.rank(y) == 4
    assert shapes.static(y) is None


def test_a_binding_makes_shapes_and_values_concrete():
    shapes, y = analysed(HEADS, binding={"batch": 2, "seq": 5})
    assert shapes.static(y) == (2, 5, 12, 64)
    known = shapes.known(named(shapes, "target"))
    assert known.dtype == np.int64
    assert known.tolist() == [2, 5, 12, 64]


def test_dimensions_can_be_evaluated_later():
    shapes, y = analysed("g (float[n, h] x) => (float y) { y = Concat<axis = 0>(x, x) }")
    assert shapes.shape(y) == ("2*n", "h")
    assert [shapes.evaluate(dim, {"n": 3, "h": 4}) for dim in shapes.shape(y)] == [6, 4]
    assert shapes.expression("2*n") == shapes.dims(y)[0]
    assert shapes.evaluate("2*n", {}) is None
    assert shapes.evaluate(None, {"n": 3}) is None
    assert shapes.evaluate("n/2", {"n": 3}) is None


def value(text, binding=None):
    """The elements of y as text, None for unknown."""
    shapes, y = analysed(text, binding=binding)
    found = shapes.value(y)
    return None if found is None else [None if e is None else str(e) for e in found.elements]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("y = Shape<start = 1, end = -1>(x)", ["h"]),
        ("y = Size(x)", ["3*h*n"]),
        ("c = Constant<value_int = 2>() y = Mul(d, c)", ["2*n", "2*h", "6"]),
        ("c = Constant<value_int = 2>() y = Div(d, c)", ["floor(n/2)", "floor(h/2)", "1"]),
        ("c = Constant<value_int = 2>() y = Mod(d, c)", ["-2*floor(n/2) + n", "-2*floor(h/2) + h", "1"]),
        ("c = Constant<value_int = -1>() y = Equal(d, c)", ["0", "0", "0"]),
        ("c = Constant<value_int = 1>() y = Equal(d, c)", [None, None, "0"]),
        ("c = Constant<value_int = 0>() y = Less(d, c)", ["0", "0", "0"]),
        ("c = Constant<value_int = 0>() y = GreaterOrEqual(d, c)", ["1", "1", "1"]),
        ("c = Constant<value_int = 0>() z = Equal(d, c) y = Not(z)", [None, None, "1"]),
        ("c = Constant<value_int = -1>() z = Equal(d, c) y = Where(z, c, d)", ["n", "h", "3"]),
        ("c = Constant<value_int = 0>() z = Equal(d, c) y = Where(z, d, d)", ["n", "h", "3"]),
        ("c = Constant<value_int = 512>() y = Min(d, c)", ["min(512, n)", "min(512, h)", "3"]),
        ("y = ReduceProd<keepdims = 0>(d)", ["3*h*n"]),
        ("y = ReduceSum(d)", ["h + n + 3"]),
        ("y = Neg(d)", ["-n", "-h", "-3"]),
        ("z = Neg(d) y = Abs(z)", ["n", "h", "3"]),
        ("f = Cast<to = 1>(d) c = Constant<value_float = 2.0>() q = Div(f, c) r = Floor(q) y = Cast<to = 7>(r)",
         ["floor(n/2)", "floor(h/2)", "1"]),
        ("f = Cast<to = 1>(d) c = Constant<value_float = 3.0>() q = Div(f, c) r = Ceil(q) y = Cast<to = 7>(r)",
         ["floor(n/3 + 2/3)", "floor(h/3 + 2/3)", "1"]),
        ("f = Cast<to = 1>(d) c = Constant<value_float = 0.1>() q = Mul(f, c) y = Cast<to = 7>(q)", [None] * 3),
        ("f = Cast<to = 1>(d) c = Constant<value_float = 3.0>() q = Div(f, c) y = Mul(q, c)", [None, None, "3"]),
        ("y = Cast<to = 6>(d)", ["n", "h", "3"]),
        ("y = Cast<to = 3>(d)", [None, None, "3"]),
        ("y = Cast<to = 9>(d)", [None, None, "1"]),
        ("a = Constant<value_ints = [0]>() e = Constant<value_ints = [-1]>() y = Slice(d, a, e)", ["n", "h"]),
        ("z, w, y = Split<num_outputs = 3>(d)", ["3"]),
        ("r = Constant<value_ints = [2]>() y = Tile(d, r)", ["n", "h", "3"] * 2),
        ("s = Constant<value_ints = [2, 3]>() y = Expand(d, s)", ["n", "h", "3"] * 2),
        ("i = Constant<value_ints = [2, 0]>() y = Gather(d, i)", ["3", "n"]),
        ("i = Constant<value_ints = [2, 0]>() y = GatherElements(d, i)", ["3", "n"]),
        ("s = Constant<value_ints = [1, 3]>() z = Reshape(d, s) y = Transpose(z)", ["n", "h", "3"]),
        ("a = Constant<value_int = 1>() e = Constant<value_int = 8>() t = Constant<value_int = 3>() y = Range(a, e, t)",
         ["1", "4", "7"]),
        ("s = Constant<value_ints = [2]>() y = ConstantOfShape<value = int64[1] {5}>(s)", ["5", "5"]),
        ("y = Concat<axis = 0>(d, k)", ["n", "h", "3", None, None]),
        ("y = Add(d, u)", None),
    ],
)  # fmt: skip
def test_values_propagate(nodes, expected):
    inputs = "float[n, h, 3] x, int64[2] k, int64[3] u"
    assert value(f"g ({inputs}) => (float y) {{ d = Shape(x) {nodes} }}") == expected


def test_a_size_is_not_minus_one_even_if_its_formula_could_be():
    text = """g (float[n, 1, h] x) => (float y) {
        c = Conv(x, W)  s = Shape(c)  one = Constant<value_int = -1>()  e = Equal(s, one)  y = Where(e, one, s) }"""
    shapes, y = analysed(text, {"W": (1, 1, 3)})
    assert [str(element) for element in shapes.integers(y).elements] == ["n", "1", "h - 2"]


def test_declarations_of_intermediate_tensors_are_the_last_resort():
    text = "g (float[n, 4] x) => (float y) { a = unheard.Of(x)  b = Relu(x)  y = Add(a, b) }"
    shapes, _ = analysed(text, a=(7, "m"), b=(7, 7))
    assert shapes.type(named(shapes, "a")) == TypeInfo(FLOAT, (7, None))
    assert shapes.shape(named(shapes, "b")) == ("n", 4)


def test_unnamed_dimensions_of_inputs_get_names_of_their_own():
    shapes, y = analysed("g (float[?, ?] x, float[unk] z, float[unk] w) => (float y) { y = Add(z, w) }")
    inputs = shapes.model.graph.inputs
    inputs[0].shape = (None, -1)
    assert shapes.shape(inputs[0]) == ("x.0", "x.1")
    assert shapes.shape(inputs[1]) == ("z.0",)
    assert shapes.shape(y) == (None,)


def test_a_name_that_is_taken_is_not_given():
    model = load(proto("g (float[a] x, float[b] z) => (float y) { y = Add(x, z) }"))
    x, z = model.graph.inputs
    x.shape, z.shape = (None,), ("x.0",)
    assert Shapes(model).shape(x) != Shapes(model).shape(z)


def test_names_may_be_any_text():
    model = load(proto("g (float[a, b] x) => (float y) { y = Concat<axis = 0>(x, x) }"))
    model.graph.inputs[0].shape = ("2*n + 1", "height of `x`")
    shapes = Shapes(model, {"height of `x`": 3})
    first, second = shapes.shape(named(shapes, "y"))
    assert first == "2*`2*n + 1`"
    assert second == 3
    assert shapes.evaluate(first, {"2*n + 1": 5}) == 10


def test_new_tensors_are_inferred_when_asked_for_and_forgotten_on_request():
    shapes, y = analysed("g (float[n, 4] x) => (float y) { y = Relu(x) }")
    assert shapes.shape(y) == ("n", 4)
    new = Variable("new")
    Node("Transpose", inputs=[y], outputs=[new])
    assert shapes.type(new) == TypeInfo(FLOAT, (4, "n"))
    new.producer.op = "Relu"
    assert shapes.shape(new) == (4, "n")
    shapes.forget([new])
    assert shapes.shape(new) == ("n", 4)


def test_a_tensor_from_nowhere_is_unknown():
    shapes, _ = analysed("g (float[n, 4] x) => (float y) { y = Relu(x) }")
    assert shapes.type(Variable("nowhere")) == TypeInfo(None, None)
    assert shapes.integers(Variable("nowhere")) is None
    assert shapes.known(Variable.empty()) is None


def chain(length):
    x = Variable("x", FLOAT, ("n", 4))
    tensors = [x, *(Variable(f"t{i}") for i in range(length))]
    nodes = [Node("Relu" if i % 2 else "Neg", inputs=[tensors[i]], outputs=[tensors[i + 1]]) for i in range(length)]
    return Model(Graph(nodes[::-1], [x], [tensors[-1]]))


def test_long_chains_are_no_recursion():
    model = chain(20_000)
    assert Shapes(model).shape(model.graph.outputs[0]) == ("n", 4)


def test_a_cycle_is_unknown_and_ends():
    a, b = Variable("a"), Variable("b")
    nodes = [Node("Relu", inputs=[a], outputs=[b]), Node("Relu", inputs=[b], outputs=[a])]
    assert Shapes(Model(Graph(nodes, [], [b]))).type(b) == TypeInfo(None, None)


def test_weights_are_never_decoded():
    class Untouchable(Stored):
        def load(self):
            raise AssertionError("decoded")

    x, y, z = Variable("x", FLOAT, ("n", 4)), Variable("y"), Variable("z")
    weight = Constant("w", Untouchable((4, 1000), FLOAT, 16000))
    table = Constant("i", Untouchable((2000,), np.dtype(np.int64), 16000))
    nodes = [
        Node("MatMul", inputs=[x, weight], outputs=[y]),
        Node("Gather", attrs={"axis": 1}, inputs=[y, table], outputs=[z]),
    ]
    shapes = Shapes(Model(Graph(nodes, [x], [z])))
    assert shapes.shape(z) == ("n", 2000)
    assert shapes.integers(table) is None
    assert shapes.known(table) is None


def test_constants_are_known():
    values = np.array([[1, 2], [3, 4]], np.int32)
    flags = np.array([True, False])
    shapes, _ = analysed("g (float[n] x) => (float y) { y = Relu(x) }")
    assert shapes.integers(Constant("c", values)) == SymbolicArray((2, 2), (1, 2, 3, 4))
    np.testing.assert_array_equal(shapes.known(Constant("c", values)), values)
    known = shapes.known(Constant("f", flags))
    assert known.dtype == np.bool_
    assert known.tolist() == [True, False]
    assert shapes.static(Constant("c", values)) == (2, 2)
    assert shapes.integers(Constant("g", np.ones(2, np.float32))) is None


def test_overridable_initializers_have_values_only_on_request():
    message = proto("g (float[n, 4] x, int64[2] s) => (float y) { y = Reshape(x, s) }", {"s": np.array([-1, 2])})
    message.graph.output[0].ClearField("type")
    model = load(message)
    assert Shapes(model).shape(model.graph.outputs[0]) == (None, None)
    assert Shapes(model, defaults=True).shape(model.graph.outputs[0]) == ("2*n", 2)


BRANCHES = """g (float[n, 4] x, {inputs}) => (float y) {{
    {before}
    y = If (c) <
        then_branch = t () => (float p) {{ p = Relu(x) }},
        else_branch = e () => (float q) {{ k = Constant<value_ints = [{perm}]>() q = Reshape(x, k) }}
    >
}}"""


def test_branches_are_joined():
    shapes, y = analysed(BRANCHES.format(inputs="bool c", before="", perm="-1, 4"))
    assert shapes.shape(y) == ("n", 4)
    shapes, y = analysed(BRANCHES.format(inputs="bool c", before="", perm="4, -1"))
    assert shapes.shape(y) == (None, None)
    shapes, y = analysed(BRANCHES.format(inputs="bool c", before="", perm="-1"))
    assert shapes.type(y) == TypeInfo(FLOAT, None)


def test_a_decided_condition_takes_its_branch():
    before = """s = Shape(x) a = Constant<value_int = 1>() d = Gather(s, a) f = Constant<value_int = {four}>()
        c = Equal(d, f)"""
    shapes, y = analysed(BRANCHES.format(inputs="float z", before=before.format(four=4), perm="4, -1"))
    assert shapes.shape(y) == ("n", 4)
    shapes, y = analysed(BRANCHES.format(inputs="float z", before=before.format(four=5), perm="4, -1"))
    assert shapes.shape(y) == (4, "n")


LOOP = """g (float[n, 4] x, int64 m, bool c) => (float y, float scanned) {{
    y, scanned = Loop (m, c, x) <
        body = b (int64 i, bool go, float carried) => (bool on, float next, float out) {{
            on = Identity(go)  next = {step}  out = Relu(carried) }}
    >
}}"""


def cleared(text):
    model = model_of(text)
    body = model.graph.nodes[0].attrs["body"]
    for tensor in (*body.inputs, *body.outputs):
        tensor.dtype = tensor.shape = None
    return Shapes(model), model, body


def test_what_a_loop_carries_keeps_what_no_iteration_changes():
    shapes, model, body = cleared(LOOP.format(step="Relu(carried)"))
    assert [shapes.shape(t) for t in model.graph.outputs] == [("n", 4), (None, "n", 4)]
    assert shapes.shape(body.inputs[2]) == ("n", 4)
    shapes, model, _ = cleared(LOOP.format(step="Concat<axis = 1>(carried, carried)"))
    assert [shapes.shape(t) for t in model.graph.outputs] == [("n", None), (None, "n", None)]
    shapes, model, _ = cleared(LOOP.format(step="unheard.Of(carried)"))
    assert [shapes.type(t) for t in model.graph.outputs] == [TypeInfo(None, None), TypeInfo(None, None)]


def test_tensors_inside_a_body_can_be_asked_for_first():
    shapes, _, body = cleared(LOOP.format(step="Relu(carried)"))
    assert shapes.type(body.outputs[2]) == TypeInfo(FLOAT, ("n", 4))
    assert shapes.type(body.inputs[0]) == TypeInfo(np.dtype(np.int64), ())


CONTRADICTORY = {
    "a Loop that gives its body less than it takes": """g (float[3] x, int64 n, bool c) => (float y, float z) {
        y, z = Loop (n, c) <body = b (int64 j, bool k, float[3] s) => (bool k2, float[3] s2, float[3] o) {
            k2 = Identity (k) s2 = Add (s, x) o = Neg (s2) }> }""",
    "a Loop that gives nothing": """g (float[3] x) => (float y) {
        y = Loop () <body = b (int64 j, bool k, float[3] s) => (bool k2, float[3] s2) {
            k2 = Identity (k) s2 = Add (s, x) }> }""",
    "branches that take inputs": """g (float[3] x, bool c) => (float y) {
        y = If (c) <then_branch = t (float[3] p) => (float q) { q = Neg (p) },
                    else_branch = e (float[3] r) => (float s) { s = Neg (r) }> }""",
}


@pytest.mark.parametrize("kind", CONTRADICTORY)
def test_bodies_that_are_given_too_little_are_unknown(kind):
    shapes, y = analysed(CONTRADICTORY[kind])
    assert shapes.static(y) in (None, (3,))


def test_scans_slice_and_stack():
    text = """g (float[n] state, float[t, n] xs) => (float last, float all) {
        last, all = Scan<num_scan_inputs = 1, body = b (float[n] s, float[n] x) => (float[n] o, float[n] p) {
            o = Add(s, x)  p = Identity(o) }>(state, xs)
    }"""
    model = model_of(text)
    shapes = Shapes(model)
    assert [shapes.shape(t) for t in model.graph.outputs] == [("n",), ("t", "n")]


FUNCTIONS = """<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
g (float[n, 4] x) => (float y) {{ {call} }}
<domain: "local", opset_import: ["" : 21]>
halve <axis> (x) => (y) {{
    s = Constant<value_ints = [-1, 2]>()  r = Reshape(x, s)  y = Softmax<axis: int = @axis>(r)
}}"""


def test_functions_are_inferred_through_their_bodies():
    shapes, y = analysed(FUNCTIONS.format(call="y = local.halve<axis = 1>(x)"))
    assert shapes.type(y) == TypeInfo(FLOAT, ("2*n", 2))
    shapes, y = analysed(FUNCTIONS.format(call="y = local.double(x)"))
    assert shapes.type(y) == TypeInfo(None, None)


def test_equal_layers_are_inferred_once(monkeypatch):
    model = chain(100)
    shapes = Shapes(model)
    calls = []
    monkeypatch.setattr("graphopt.analysis.shapes.infer", lambda call: calls.append(call.op) or inference.infer(call))
    shapes.type(model.graph.outputs[0])
    assert sorted(calls) == ["Neg", "Relu"]


def test_sequences_have_no_dense_type_but_their_elements_do():
    text = "g (float[2, 4] x, int64 i) => (float y) { s = SequenceConstruct(x, x) y = SequenceAt(s, i) }"
    shapes, y = analysed(text)
    assert shapes.type(named(shapes, "s")) == TypeInfo(None, None)
    assert shapes.type(y) == TypeInfo(FLOAT, (2, 4))
    shapes, y = analysed(text.replace("[2, 4]", "[n, 4]"))
    assert shapes.type(y) == TypeInfo(FLOAT, None)
