import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

import graphopt
from graphopt.errors import GraphoptError, UsageError
from passes.opset.adapters import ADAPTERS, REFUSED
from passes.opset.history import NEWEST, changes, only_gains_types, reviewed
from tests.support import proto

RUNS = 26
"""The newest opset that the installed ONNX Runtime loads."""


def model(version, body, inputs="float[2, 3, 4] x", outputs="float[A, B, C] y", weights=""):
    ir = 3 if version < 9 else 4 if version < 12 else 8
    return f'<ir_version: {ir}, opset_import: ["" : {version}]> m ({inputs}) => ({outputs}) {weights} {{ {body} }}'


def raised(text, target=RUNS, weights=None, verify="full"):
    return graphopt.optimize(proto(text, weights), passes=f"opset:version={target}", verify=verify)


def spelled(text, target=RUNS, weights=None):
    """The nodes after raising, which was verified node by node and as a whole."""
    result = raised(text, target, weights)
    assert [entry.verdict.status.value for entry in result.report.rewrites] == ["verified"], result.report
    message = result.model.to_proto()
    onnx.checker.check_model(message, full_check=True)
    assert message.opset_import[0].version == target
    return result.model.graph.nodes


def attrs(node):
    return {name: value for name, value in node.attrs.items() if not isinstance(value, graphopt.Model)}


def values(node, at):
    return node.inputs[at].values.tolist()


# ---- every adapter ----

FOUR = "float[2, 3, 4, 4] x"
FOUR_OUT = "float[A, B, C, D] y"


@pytest.mark.parametrize("op", ["Squeeze", "Unsqueeze"])
def test_axes_of_squeeze_and_unsqueeze(op):
    inputs, outputs = (
        ("float[2, 1, 4] x", "float[A, B] y") if op == "Squeeze" else ("float[2, 4] x", "float[A, B, C] y")
    )
    (node,) = spelled(model(11, f"y = {op}<axes=[1]>(x)", inputs, outputs))
    assert (attrs(node), values(node, 1)) == ({}, [1])


def test_squeeze_without_axes():
    (node,) = spelled(model(11, "y = Squeeze(x)", "float[2, 1, 4] x", "float[2, 4] y"))
    assert len(node.inputs) == 1


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax", "ReduceL2", "ReduceSum", "ReduceLogSumExp"])
def test_axes_of_reductions(op):
    (node,) = spelled(model(11, f"y = {op}<axes=[-1, 1], keepdims=1>(x)"))
    assert (attrs(node), values(node, 1)) == ({"keepdims": 1}, [-1, 1])


def test_reductions_over_everything():
    (node,) = spelled(model(11, "y = ReduceMean<keepdims=0>(x)", outputs="float y"))
    assert len(node.inputs) == 1


def test_bounds_of_slices():
    (node,) = spelled(model(9, "y = Slice<axes=[2, 0], starts=[1, 0], ends=[-1, 1]>(x)"))
    assert [values(node, at) for at in (1, 2, 3)] == [[1, 0], [-1, 1], [2, 0]]
    (node,) = spelled(model(9, "y = Slice<starts=[1], ends=[2]>(x)"))
    assert len(node.inputs) == 3


def test_pads():
    (node,) = spelled(model(10, "y = Pad<pads=[0, 1, 0, 0, 0, 2], value=1.5>(x)"))
    assert (attrs(node), values(node, 1), values(node, 2)) == ({}, [0, 1, 0, 0, 0, 2], 1.5)
    (node,) = spelled(model(10, 'y = Pad<mode="reflect", pads=[0, 1, 0, 0, 0, 2]>(x)'))
    assert (attrs(node), len(node.inputs)) == ({"mode": "reflect"}, 2)


def test_sizes_of_splits():
    outputs = "float[A, B, C] y, float[D, E, F] z"
    (node,) = spelled(model(11, "y, z = Split<axis=1, split=[1, 2]>(x)", outputs=outputs))
    assert (attrs(node), values(node, 1)) == ({"axis": 1}, [1, 2])
    (node,) = spelled(model(11, "y, z = Split<axis=2>(x)", outputs=outputs))
    assert attrs(node) == {"axis": 2, "num_outputs": 2}


def test_number_of_the_largest():
    (node,) = spelled(model(9, "y, i = TopK<k=2>(x)", outputs="float[2, 3, 2] y, int64[2, 3, 2] i"))
    assert (attrs(node), values(node, 1)) == ({}, [2])


@pytest.mark.parametrize(
    ("call", "limits"),
    [("Clip<min=-1.0, max=6.0>(x)", [-1, 6]), ("Clip<max=6.0>(x)", [6]), ("Clip<min=0.0>(x)", [0]), ("Clip(x)", [])],
)
def test_limits_of_clip(call, limits):
    (node,) = spelled(model(6, f"y = {call}"))
    assert (attrs(node), [t.values.item() for t in node.inputs[1:] if t.name]) == ({}, limits)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
def test_softmax_over_several_axes(op):
    nodes = spelled(model(11, f"y = {op}<axis=1>(x)"))
    assert [node.op for node in nodes] == ["Shape", "Flatten", op, "Reshape"]
    nodes = spelled(model(11, f"y = {op}(x)", "float[N, M, 4] x"))
    assert [node.op for node in nodes] == ["Shape", "Flatten", op, "Reshape"]


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
def test_softmax_over_one_axis(op):
    (node,) = spelled(model(11, f"y = {op}<axis=-1>(x)"))
    assert attrs(node) == {"axis": 2}
    (node,) = spelled(model(11, f"y = {op}(x)", "float[N, 3, 1, 1] x", FOUR_OUT))
    assert attrs(node) == {"axis": 1}


def test_softmax_of_an_unknown_rank():
    text = model(11, "p = Reshape(x, s)  y = Softmax(p)", "float[2, 12] x, int64[K] s")
    with pytest.raises(UsageError, match="number of axes"):
        raised(text)


def test_softmax_since_13_stays():
    (node,) = spelled(model(13, "y = Softmax(x)"))
    assert attrs(node) == {}


def test_dropout():
    (node,) = spelled(model(10, "y = Dropout<ratio=0.3>(x)"))
    assert (attrs(node), node.inputs[1].values.item()) == ({}, pytest.approx(0.3))
    (node,) = spelled(model(7, "y = Dropout(x)"))
    assert len(node.inputs) == 1


def test_upsample_is_a_resize():
    text = 'y = Upsample<mode="{}", scales=[1.0, 1.0, 2.0, 3.0]>(x)'
    for mode in ("nearest", "linear"):
        (node,) = spelled(model(7, text.format(mode), FOUR, FOUR_OUT))
        assert (node.op, values(node, 2)) == ("Resize", [1, 1, 2, 3])
        assert attrs(node)["coordinate_transformation_mode"] == "asymmetric"


def test_the_first_resize():
    text = model(10, "y = Resize(x, s)", FOUR, FOUR_OUT, "<float[4] s = {1, 1, 2, 2}>")
    (node,) = spelled(text)
    assert attrs(node) == {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    with pytest.raises(UsageError, match="smaller"):
        raised(text.replace("2, 2", "0.5, 0.5"))


def test_resize_with_empty_arguments():
    weights = "<float[0] e = {}, int64[4] z = {2, 3, 8, 8}>"
    (node,) = spelled(model(11, "y = Resize(x, e, e, z)", FOUR, FOUR_OUT, weights))
    assert [tensor.name for tensor in node.inputs] == ["x", "", "", "z"]


def test_mode_that_no_longer_exists():
    body = 'y = Resize<coordinate_transformation_mode="tf_half_pixel_for_nn">(x, e, s)'
    with pytest.raises(UsageError, match="does not exist"):
        raised(model(11, body, FOUR, FOUR_OUT, "<float[0] e = {}, float[4] s = {1, 1, 2, 2}>"))


def test_batch_normalization():
    weights = {name: np.abs(np.random.default_rng(0).standard_normal(3)).astype(np.float32) for name in "abcd"}
    (node,) = spelled(model(7, "y = BatchNormalization<spatial=1>(x, a, b, c, d)"), weights=weights)
    assert attrs(node) == {}
    with pytest.raises(UsageError, match="every element"):
        raised(model(7, "y = BatchNormalization<spatial=0>(x, a, b, c, d)"), weights=weights, verify="off")
    training = model(9, "y, p, q, r, s = BatchNormalization(x, a, b, c, d)")
    with pytest.raises(UsageError, match="training"):
        raised(training, weights=weights, verify="off")


def test_group_normalization_by_channel():
    text = model(18, "y = GroupNormalization<num_groups=2>(x, s, b)", "float[N, 6, 4] x, float[2] s, float[2] b")
    result = raised(text, 21)
    assert not result.report.rolled_back
    assert [node.op for node in result.model.graph.nodes][-1] == "GroupNormalization"


def test_scatter_is_scatter_elements():
    inputs = "float[3, 4] x, int64[1, 2] i, float[1, 2] u"
    (node,) = spelled(model(10, "y = Scatter<axis=1>(x, i, u)", inputs, "float[3, 4] y"))
    assert (node.op, attrs(node)) == ("ScatterElements", {"axis": 1})


def test_axis_of_dft():
    text = model(17, "y = DFT<axis=1>(x)", "float[2, 8, 1] x", "float[2, 8, 2] y")
    (node,) = spelled(text, 20)
    assert (attrs(node), node.inputs[2].values.item()) == ({}, 1)
    (node,) = spelled(text.replace("<axis=1>", ""), 20)
    assert node.inputs[2].values.item() == 1


def test_names_of_interpolations():
    inputs = "float[1, 2, 4, 4] x, float[1, 3, 3, 2] g"
    (node,) = spelled(model(16, 'y = GridSample<mode="bilinear">(x, g)', inputs, FOUR_OUT))
    assert attrs(node) == {"mode": "linear"}


def test_roi_align_keeps_its_pixels():
    weights = {"r": np.array([[0, 0, 4, 4], [1, 2, 7, 6]], np.float32), "b": np.zeros(2, np.int64)}
    text = model(10, "y = RoiAlign<output_height=2, output_width=2>(x, r, b)", "float[1, 2, 8, 8] x", FOUR_OUT)
    (node,) = spelled(text, 16, weights)
    assert attrs(node)["coordinate_transformation_mode"] == "output_half_pixel"


@pytest.mark.parametrize(("op", "axis"), [("Add", 1), ("Mul", 0), ("Sub", 1), ("Div", -2)])
def test_broadcasting_along_an_axis(op, axis):
    """ONNX Runtime no longer runs opset 6 arithmetic with an axis, so the numbers are compared with NumPy's."""
    b = np.arange(1, 4 if axis else 3, dtype=np.float32)
    text = model(6, f"y = {op}<broadcast=1, axis={axis}>(x, b)")
    result = raised(text, 13, {"b": b}, verify="structure")
    message = result.model.to_proto()
    assert [node.op_type for node in message.graph.node] == ["Reshape", op]
    from onnx.reference import ReferenceEvaluator

    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    numpy_op = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract, "Div": np.divide}[op]
    expected = numpy_op(x, b.reshape((3, 1) if axis else (2, 1, 1)))
    (found,) = ReferenceEvaluator(message).run(None, {"x": x})
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("call", ["Add<broadcast=1>(x, b)", "Add<broadcast=1, axis=2>(x, b)", "Add(x, x)"])
def test_broadcasting_as_in_numpy(call):
    result = raised(model(6, f"y = {call}"), 13, {"b": np.ones(4, np.float32)}, verify="structure")
    assert [(node.op, node.attrs) for node in result.model.graph.nodes] == [("Add", {})]


@pytest.mark.parametrize(
    ("version", "body", "expected"),
    [
        (1, 'y = Cast<to="INT32">(x)', ("Cast", {"to": 6})),
        (1, "y = Concat(x, x)", ("Concat", {"axis": 1})),
        (1, "y = Relu<consumed_inputs=[0]>(x)", ("Relu", {})),
        (1, "y = Selu(x)", ("Selu", {"alpha": 1.6732, "gamma": 1.0507})),
        (1, "y = Pad<paddings=[0, 0, 0, 0, 0, 1]>(x)", ("Pad", {})),
        (1, "y = Upsample<height_scale=2.0, width_scale=3.0>(x)", ("Resize", None)),
        (1, "y = Reshape<shape=[4, 6]>(x)", ("Reshape", {})),
        (1, "y = Tile(x, t, a)", ("Tile", {})),
        (1, "y = Split<axis=1, split=[1, 2]>(x)", ("Split", {"axis": 1})),
        (1, "y = GlobalLpPool<p=3.0>(x)", ("GlobalLpPool", {"p": 3})),
        (6, "y = Dropout<is_test=1>(x)", ("Dropout", {})),
        (6, "y = BatchNormalization<is_test=1>(x, s, s, s, s)", ("BatchNormalization", {})),
        (6, "y = Gemm<broadcast=1>(x, x, x)", ("Gemm", {})),
        (6, "y = PRelu(x, s)", ("PRelu", {})),
    ],
)
def test_spellings_that_nothing_runs_any_more(version, body, expected):
    weights = {"t": np.int64(2), "a": np.int64(1), "s": np.ones(3, np.float32)}
    result = raised(model(version, body), 21, weights, verify="structure")
    node = next(node for node in result.model.graph.nodes if node.op == expected[0] and node.outputs[0].name == "y")
    assert expected[1] is None or attrs(node) == pytest.approx(expected[1])


@pytest.mark.parametrize(
    ("version", "body", "reason"),
    [
        (6, "y = Dropout(x)", "training"),
        (6, "y = BatchNormalization(x, x, x, x, x)", "training"),
        (1, "y = LpPool<p=2.5, kernel_shape=[2]>(x)", "integer"),
        (1, "y = Tile(x, x, x)", "not a constant"),
        (9, "y, m = Dropout(x)", "mask"),
        (11, "y, m = Dropout(x)", "mask"),
    ],
)
def test_what_cannot_be_said_any_more(version, body, reason):
    with pytest.raises(UsageError, match=reason):
        raised(model(version, body), 21, verify="structure")


def test_half_precision_range():
    text = model(11, "y = Range(a, b, c)", "float16 a, float16 b, float16 c", "float16[N] y")
    with pytest.raises(UsageError, match="counts in float"):
        raised(text, 27, verify="structure")


def test_types_that_are_not_taken_any_more():
    text = model(9, "y = Erf(x)", "int32[N] x", "int32[N] y")
    with pytest.raises(UsageError, match="takes no int32"):
        raised(text, 13, verify="structure")


# ---- the pass ----


def test_nested_graphs():
    text = """<ir_version: 6, opset_import: ["" : 11]> m (bool c, float[2, 3] x) => (float[A, B, C] y) {
        y = If(c) <then_branch = t () => (float[A, B, C] p) { p = Unsqueeze<axes=[0]>(x) },
                   else_branch = e () => (float[A, B, C] q) { q = Unsqueeze<axes=[2]>(x) }>
    }"""
    (node,) = spelled(text)
    assert [inner.attrs for branch in node.attrs.values() for inner in branch.nodes] == [{}, {}]


def test_what_was_raised_is_noted():
    report = raised(model(11, "y = Unsqueeze<axes=[0]>(x)", "float[2, 3] x")).report
    assert "raised from opset 11 to 26; spelled anew: 1 Unsqueeze" in report.notes
    assert any("IR version" in note for note in report.notes)


def test_other_domains_stay():
    text = """<ir_version: 8, opset_import: ["" : 11, "ai.onnx.ml" : 1]> m (float[2, 3] x) => (float[A, B] y)
    { a = ai.onnx.ml.Normalizer<norm="L2">(x)  b = Unsqueeze<axes=[0]>(a)  y = Squeeze<axes=[0]>(b) }"""
    model_ = raised(text).model
    assert model_.opsets == {"": RUNS, "ai.onnx.ml": 1}


def test_nothing_is_done_twice():
    first = raised(model(11, "y = Unsqueeze<axes=[0]>(x)", "float[2, 3] x")).model.to_proto()
    again = graphopt.optimize(first, passes=f"opset:version={RUNS}")
    assert not again.report.rewrites
    assert again.model.to_proto() == first


def test_a_model_without_the_domain_stays():
    text = """<ir_version: 8, opset_import: ["ai.onnx.ml" : 1]> m (float[2, 3] x) => (float[2, 3] y)
    { y = ai.onnx.ml.Normalizer<norm="L2">(x) }"""
    assert raised(text).model.opsets == {"ai.onnx.ml": 1}


def test_all_or_nothing():
    body = "a = Unsqueeze<axes=[0]>(x)  y = Squeeze<axes=[0]>(a)"
    text = model(11, body, "float[2, 3] x", "float[A, B] y")
    result = graphopt.optimize(proto(text), passes=f"opset:version={RUNS}", limit=0)
    assert result.model.to_proto() == graphopt.optimize(proto(text), passes="opset:version=11").model.to_proto()


def test_what_the_runtime_cannot_run_is_rolled_back():
    newest = proto(model(NEWEST, "axes = Constant<value_ints=[0]>() y = Unsqueeze(x, axes)", "float[2, 3] x"))
    try:
        onnxruntime.InferenceSession(newest.SerializeToString())
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        result = raised(model(11, "y = Unsqueeze<axes=[0]>(x)", "float[2, 3] x"), NEWEST)
    else:
        pytest.skip("this ONNX Runtime runs the newest opset")
    assert [entry.rule for entry in result.report.rolled_back] == ["raise_opset"]
    assert result.model.opsets == {"": 11}


@pytest.mark.parametrize("version", ["0", "99", "x", "-3"])
def test_versions_that_do_not_exist(version):
    with pytest.raises(UsageError, match="version"):
        graphopt.optimize(proto(model(11, "y = Relu(x)")), passes=f"opset:version={version}")


@pytest.mark.parametrize(
    ("length", "how", "out"),
    [(4, "", 3), (5, "pads=[1, 1]", 4), (5, "pads=[0, 2]", 4), (4, 'auto_pad="SAME_UPPER"', 3)],
)
@pytest.mark.parametrize("op", ["AveragePool", "LpPool", "MaxPool"])
def test_windows_that_begin_behind_the_last_element_are_refused(op, length, how, out):
    body = f"y = {op} <{', '.join(filter(None, [how, 'kernel_shape=[1], strides=[2], ceil_mode=1']))}> (x)"
    text = model(18, body, f"float[1, 2, {length}] x", f"float[1, 2, {out}] y")
    onnx.checker.check_model(proto(text), full_check=True)
    with pytest.raises(UsageError, match="begins behind the last element"):
        raised(text)


@pytest.mark.parametrize(
    "how", ["strides=[2], ceil_mode=1", "strides=[3]", "ceil_mode=1, pads=[1, 1]", 'ceil_mode=1, auto_pad="SAME_UPPER"']
)
def test_windows_that_begin_within_the_input_mean_the_same(how):
    (node,) = spelled(model(18, f"y = MaxPool <kernel_shape=[2], {how}> (x)", "float[1, 2, 5] x"))
    assert node.op == "MaxPool"


def test_lowering_is_refused():
    with pytest.raises(UsageError, match="lowered"):
        raised(model(13, "y = Relu(x)"), 12)


def test_the_version_must_be_said():
    with pytest.raises(UsageError, match="which version"):
        graphopt.optimize(proto(model(13, "y = Relu(x)")), passes="opset")


def test_unknown_operators_are_refused():
    with pytest.raises(UsageError, match="no operator Affine"):
        raised(model(5, "y = Affine(x)"), 13, verify="off")


def test_scan_of_the_first_kind_is_refused():
    scan = onnx.helper.make_node("Scan", ["", "x"], ["y"], num_scan_inputs=1)
    scan.attribute.add(name="body", type=onnx.AttributeProto.GRAPH).g.CopyFrom(
        parser.parse_graph("b (float[4] i) => (float[4] o) { o = Relu(i) }")
    )
    message = proto(model(8, "y = Relu(x)"))
    message.graph.node[0].CopyFrom(scan)
    with pytest.raises(GraphoptError, match="Scan"):
        graphopt.optimize(message, passes="opset:version=9", verify="off")


def test_functions_are_refused():
    text = """<ir_version: 10, opset_import: ["" : 17, "f" : 1]> m (float[N] x) => (float[N] y) { y = f.g(x) }
    <domain: "f", opset_import: ["" : 17]> g (a) => (b) { b = Neg(a) }"""
    with pytest.raises(UsageError, match="inline"):
        graphopt.optimize(parser.parse_model(text), passes="opset:version=21")


# ---- the table ----


def test_every_change_up_to_now_is_known():
    unknown = [
        change
        for change in changes()
        if not (change in ADAPTERS or change in REFUSED or change in reviewed() or only_gains_types(*change))
    ]
    assert not unknown


def test_the_table_has_nothing_that_does_not_exist():
    known = set(changes())
    assert known >= ADAPTERS.keys()
    assert known >= REFUSED.keys()
    assert known >= reviewed()
    assert not reviewed() & ADAPTERS.keys()


def test_kernels_that_add_up_in_another_order():
    body = "y = AveragePool<kernel_shape=[7, 7]>(x)"
    result = raised(model(13, body, "float[1, 8, 7, 7] x", FOUR_OUT))
    assert [(entry.contract, entry.verdict.status.value) for entry in result.report.rewrites] == [
        ("close(16)", "verified")
    ]
