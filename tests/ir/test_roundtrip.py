"""One of each exotic thing that a model may hold survives reading and writing."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from graphopt.errors import OutputError
from graphopt.ir import walk
from graphopt.ir.reader import load
from graphopt.ir.types import AttributeRef, Constant, EmptyList, Graph, Node, Variable
from graphopt.ir.writer import save, to_proto
from tests.ir.equal import assert_same, assert_survives


def kind_of(value):
    return type(value).__name__


def parse(text, ir_version=10, opset=21):
    return onnx.parser.parse_model(f'<ir_version: {ir_version}, opset_import: ["": {opset}]>\n{text}')


RELU = "g (float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }"
WEIGHTS = """g (float[N, 3] x) => (float[N, 3] y) <float[3] w = {1, 2, 3}, float[3] v = {4, 5, 6}>
    { t = Add(x, w) y = Mul(t, v) }"""


class TestModel:
    def test_every_field(self):
        proto = parse(RELU)
        proto.producer_name, proto.producer_version = "somebody", "1.2"
        proto.domain, proto.model_version, proto.doc_string = "org.example", -7, "what it is"
        proto.opset_import.add(domain="com.example", version=3)
        proto.opset_import.add(domain="ai.onnx.ml", version=2)
        proto.metadata_props.add(key="b", value="2")
        proto.metadata_props.add(key="a", value="")
        proto.configuration.add(name="two", num_devices=2, device=["cpu", "gpu"])
        training = proto.training_info.add()
        training.algorithm.CopyFrom(parse(WEIGHTS).graph)
        training.update_binding.add(key="w", value="y")
        written = assert_survives(proto)
        assert [entry.domain for entry in written.opset_import] == ["", "com.example", "ai.onnx.ml"]
        assert [entry.key for entry in written.metadata_props] == ["b", "a"]
        assert written.training_info[0] == training

    def test_a_model_without_the_default_domain(self):
        proto = parse("g (float[1] x) => (float[1] y) { y = com.example.F(x) }")
        del proto.opset_import[:]
        proto.opset_import.add(domain="com.example", version=1)
        written = assert_survives(proto)
        assert [(entry.domain, entry.version) for entry in written.opset_import] == [("com.example", 1)]

    def test_ai_onnx_is_the_default_domain(self):
        proto = parse(RELU)
        proto.opset_import[0].domain = "ai.onnx"
        proto.graph.node[0].domain = "ai.onnx"
        assert load(proto).opsets == {"": 21}
        assert_survives(proto)

    def test_a_model_older_than_operator_sets(self):
        proto = parse(RELU, ir_version=1)
        del proto.opset_import[:]
        assert load(proto).graph.opset == 1
        assert not assert_survives(proto).opset_import

    def test_the_newest_ir_version(self):
        assert assert_survives(parse(RELU, ir_version=onnx.IR_VERSION)).ir_version == onnx.IR_VERSION

    def test_functions_with_overloads(self):
        text = """<ir_version: 10, opset_import: ["": 21, "f": 1]>
            g (float[N] x) => (float[N] z) { y = f.twice(x) z = f.twice:b(y) }
            <domain: "f", overload: "b", opset_import: ["": 21]> twice (x) => (y) { y = Neg(x) }
            <domain: "f", opset_import: ["": 21]> twice (x) => (y) { y = Add(x, x) }"""
        written = assert_survives(onnx.parser.parse_model(text))
        assert [(f.name, f.overload) for f in written.functions] == [("twice", "b"), ("twice", "")]
        assert written.graph.node[1].overload == "b"


class TestGraph:
    def test_documentation_and_quantisation(self):
        proto = parse(WEIGHTS)
        proto.graph.doc_string = "a graph"
        proto.graph.metadata_props.add(key="k", value="v")
        annotation = proto.graph.quantization_annotation.add(tensor_name="t")
        annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
        tensor = proto.graph.initializer[0]
        tensor.doc_string = "a weight"
        tensor.metadata_props.add(key="location", value="layer 1")
        assert_survives(proto)

    def test_unused_initializers_stay(self):
        proto = parse(WEIGHTS)
        proto.graph.initializer.append(numpy_helper.from_array(np.zeros(2, np.int8), "unused"))
        assert "unused" in {tensor.name for tensor in assert_survives(proto).graph.initializer}

    def test_an_input_that_is_an_output(self):
        assert_survives(parse("g (float[N] x) => (float[N] x) { }"))

    def test_an_initializer_that_is_an_output(self):
        proto = parse("g (float[3] x) => (float[3] y, float[3] w) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
        assert_survives(proto)

    def test_one_output_twice(self):
        proto = parse("g (float[3] x) => (float[3] y) { y = Neg(x) }")
        proto.graph.output.append(proto.graph.output[0])
        assert_survives(proto)

    def test_omitted_inputs_and_outputs(self):
        proto = parse("g (float[3] x) => (float[3] y) { y = Neg(x) }")
        proto.graph.node.append(helper.make_node("Clip", ["x", "", "y"], ["z"]))
        proto.graph.node.append(helper.make_node("LSTM", ["x", "x", "x", "", ""], ["", "h", ""]))
        assert_survives(proto)

    def test_nodes_in_any_order_come_out_sorted(self):
        proto = parse("g (float[3] x) => (float[3] z) { z = Abs(y) y = Neg(x) }")
        model = load(proto)
        assert [node.op for node in model.graph.nodes] == ["Neg", "Abs"]
        assert_survives(to_proto(model))

    def test_captures_in_any_order_come_out_sorted(self):
        proto = parse("""g (float[3] x, bool c) => (float[3] z) {
            z = If(c) <then_branch = a () => (float[3] p) { p = Abs(y) }, else_branch = b () => (float[3] q) {
                q = Identity(x) }>
            y = Neg(x) }""")
        model = load(proto)
        assert [node.op for node in model.graph.nodes] == ["Neg", "If"]
        assert next(walk.nodes(model.graph.nodes[1].attrs["then_branch"])).inputs[0].producer is model.graph.nodes[0]


class TestDeclarations:
    def test_value_info_of_all_kinds(self):
        proto = parse(WEIGHTS)
        sequence = helper.make_tensor_sequence_value_info("t", TensorProto.FLOAT, ["N", None])
        proto.graph.value_info.append(sequence)
        weight = proto.graph.value_info.add(name="w", doc_string="the weight")
        weight.type.tensor_type.elem_type = TensorProto.FLOAT
        weight.metadata_props.add(key="k", value="v")
        assert_survives(proto)

    @pytest.mark.parametrize(
        "kind",
        [
            helper.make_tensor_type_proto(TensorProto.INT4, []),
            helper.make_tensor_type_proto(TensorProto.STRING, None),
            helper.make_tensor_type_proto(TensorProto.FLOAT8E8M0, ["N", 3, None, 0]),
            helper.make_tensor_type_proto(TensorProto.FLOAT, [-1, 2]),
            helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [3, "N"]),
            helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, None)),
            helper.make_optional_type_proto(
                helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.INT64, [1]))
            ),
            helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)),
            onnx.TypeProto(opaque_type=onnx.TypeProto.Opaque(domain="d", name="n")),
            onnx.TypeProto(),
        ],
        ids=lambda kind: kind.WhichOneof("value") or "nothing",
    )
    def test_types_of_inputs(self, kind):
        proto = parse(RELU)
        proto.graph.input.append(helper.make_value_info("other", kind, "a doc string"))
        bare = proto.graph.input.add(name="bare")
        bare.type.CopyFrom(kind)
        assert_survives(proto)

    def test_denotations(self):
        proto = parse(RELU)
        kind = proto.graph.input[0].type
        kind.denotation = "IMAGE"
        kind.tensor_type.shape.dim[0].denotation = "DATA_BATCH"
        assert_survives(proto)
        model = load(proto)
        model.graph.inputs[0].shape = (4, "M")
        written = to_proto(model).graph.input[0].type
        assert written.denotation == "IMAGE"
        assert [d.denotation for d in written.tensor_type.shape.dim] == ["DATA_BATCH", ""]
        assert [d.dim_value or d.dim_param for d in written.tensor_type.shape.dim] == [4, "M"]

    def test_a_new_dtype_and_shape_are_written(self):
        model = load(parse(WEIGHTS))
        tensor = model.graph.nodes[0].outputs[0]
        tensor.dtype, tensor.shape = np.dtype(np.float16), ("N", 3, None)
        info = to_proto(model).graph.value_info[0]
        assert info == helper.make_tensor_value_info("t", TensorProto.FLOAT16, ["N", 3, None])

    def test_declarations_of_nothing_are_dropped(self):
        proto = parse(WEIGHTS)
        proto.graph.value_info.append(helper.make_tensor_value_info("ghost", TensorProto.FLOAT, [1]))
        proto.graph.value_info.add(name="t")
        assert not to_proto(load(proto)).graph.value_info


class TestInitializersAsInputs:
    def test_from_version_4_on_they_are_defaults(self):
        proto = parse(WEIGHTS)
        proto.graph.input.append(helper.make_tensor_value_info("v", TensorProto.FLOAT, [3]))
        proto.graph.input[1].doc_string = "may be given"
        model = load(proto)
        x, v = model.graph.inputs
        assert (x.name, v.name) == ("x", "v")
        assert model.graph.defaults[v].values.tolist() == [4, 5, 6]
        assert [constant.name for constant in model.graph.initializers] == ["w"]
        assert model.graph.nodes[1].inputs[1] is v
        assert_survives(proto)

    def test_before_version_4_they_are_constants(self):
        proto = parse(WEIGHTS, ir_version=3)
        for position, name in ((0, "w"), (2, "v")):
            proto.graph.input.insert(position, helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]))
        proto.graph.input[0].doc_string = "a weight"
        model = load(proto)
        assert [tensor.name for tensor in model.graph.inputs] == ["x"]
        assert not model.graph.defaults
        assert to_proto(model).graph.input == proto.graph.input

    def test_before_version_4_new_ones_are_listed(self):
        model = load(parse(RELU, ir_version=3))
        model.graph.nodes[0].inputs.append(Constant("new", np.zeros(2, np.float32)))
        written = to_proto(model)
        assert [info.name for info in written.graph.input] == ["x", "new"]
        assert [tensor.name for tensor in written.graph.initializer] == ["new"]

    def test_sparse_initializers(self):
        proto = parse(WEIGHTS)
        values = numpy_helper.from_array(np.array([1, 2], np.float32), "w")
        values.doc_string = "sparse"
        del proto.graph.initializer[0]
        proto.graph.sparse_initializer.append(
            helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([2, 0])), [3])
        )
        assert_survives(proto)
        (dense, sparse) = load(proto).graph.initializers
        assert (dense.name, sparse.name, sparse.shape) == ("v", "w", (3,))
        assert sparse.values.tolist() == [2, 0, 1]

    def test_sparse_initializers_with_coordinates_and_large_parts(self):
        proto = parse(WEIGHTS)
        rng = np.random.default_rng(0)
        dense = np.zeros((100, 200), np.float32)
        dense.reshape(-1)[rng.permutation(20000)[:2000]] = rng.standard_normal(2000)
        places = np.argwhere(dense)
        proto.graph.sparse_initializer.append(
            helper.make_sparse_tensor(
                numpy_helper.from_array(dense[dense != 0], "s"), numpy_helper.from_array(places), dense.shape
            )
        )
        content = proto.SerializeToString()
        assert (load(content).graph.initializers[-1].values == dense).all()
        assert_same(proto, to_proto(load(content)))

    def test_a_changed_sparse_initializer_is_dense(self):
        proto = parse(WEIGHTS)
        values = numpy_helper.from_array(np.array([1], np.float32), "s")
        proto.graph.sparse_initializer.append(
            helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([2])), [3])
        )
        model = load(proto)
        model.graph.initializers[-1].values = np.ones(3, np.float32)
        written = to_proto(model).graph
        assert not written.sparse_initializer
        assert [tensor.name for tensor in written.initializer] == ["w", "v", "s"]


def _tensor(*numbers):
    return numpy_helper.from_array(np.array(numbers, np.float32), "t")


def _sparse():
    return helper.make_sparse_tensor(_tensor(1), numpy_helper.from_array(np.array([1])), [3])


def _graph():
    return parse("inner () => (float[1] out) { out = Constant <value = float[1] {1}> () }").graph


class TestAttributes:
    @pytest.mark.parametrize(
        ("attribute", "value"),
        [
            (helper.make_attribute("a", 0), 0),
            (helper.make_attribute("a", -(2**63)), -(2**63)),
            (helper.make_attribute("a", 0.1), np.float32(0.1)),
            (helper.make_attribute("a", float("-inf")), float("-inf")),
            (helper.make_attribute("a", "text"), "text"),
            (helper.make_attribute("a", ""), ""),
            (helper.make_attribute("a", b"\xff\xfe"), b"\xff\xfe"),
            (helper.make_attribute("a", [1, -2]), [1, -2]),
            (helper.make_attribute("a", [1.5, 2.0]), [1.5, 2.0]),
            (helper.make_attribute("a", ["a", "b"]), ["a", "b"]),
            (helper.make_attribute("a", [b"\xff", b"b"]), [b"\xff", "b"]),
        ],
        ids=lambda value: "" if isinstance(value, AttributeProto) else repr(value),
    )
    def test_plain_values(self, attribute, value):
        proto = parse(RELU)
        proto.graph.node[0].attribute.append(attribute)
        held = load(proto).graph.nodes[0].attrs["a"]
        assert held == value
        assert type(held) is type(value) or isinstance(value, np.floating)
        assert_survives(proto)

    @pytest.mark.parametrize(
        "attribute",
        [
            helper.make_attribute("a", _tensor(1, 2)),
            helper.make_attribute("a", [_tensor(1), _tensor(*range(3000))]),
            helper.make_attribute("a", _graph()),
            helper.make_attribute("a", [_graph(), _graph()]),
            helper.make_attribute("a", helper.make_tensor_type_proto(1, ["N"])),
            helper.make_attribute("a", [helper.make_tensor_type_proto(1, None)]),
            helper.make_attribute("a", _sparse()),
            AttributeProto(name="a", type=AttributeProto.INT, ref_attr_name="outer"),
            *(
                AttributeProto(name="a", type=kind)
                for kind in (
                    AttributeProto.FLOATS, AttributeProto.INTS, AttributeProto.STRINGS, AttributeProto.TENSORS,
                    AttributeProto.GRAPHS, AttributeProto.SPARSE_TENSORS, AttributeProto.TYPE_PROTOS,
                )
            ),
        ],
        ids=lambda attribute: AttributeProto.AttributeType.Name(attribute.type),
    )  # fmt: skip
    def test_other_values(self, attribute):
        proto = parse(RELU)
        attribute.doc_string = "what it means"
        proto.graph.node[0].attribute.append(attribute)
        assert_survives(proto)
        assert_same(proto, to_proto(load(proto.SerializeToString())))

    def test_empty_lists_know_their_type(self):
        proto = parse(RELU)
        proto.graph.node[0].attribute.add(name="a", type=AttributeProto.STRINGS)
        held = load(proto).graph.nodes[0].attrs["a"]
        assert held == []
        assert isinstance(held, EmptyList)
        assert held.type == AttributeProto.STRINGS

    def test_references(self):
        proto = parse(RELU)
        proto.graph.node[0].attribute.add(name="a", ref_attr_name="b", type=AttributeProto.INTS)
        held = load(proto).graph.nodes[0].attrs["a"]
        assert held == AttributeRef("b", AttributeProto.INTS)

    @pytest.mark.parametrize(
        "value", [3, 0.5, "s", [1], [0.5], ["s"], _tensor(1)], ids=lambda value: type(value).__name__
    )
    def test_files_that_are_too_old_to_say_the_type(self, value):
        proto = parse(RELU)
        attribute = helper.make_attribute("a", value)
        kind = attribute.type
        attribute.ClearField("type")
        proto.graph.node[0].attribute.append(attribute)
        assert to_proto(load(proto)).graph.node[0].attribute[0].type == kind

    def test_what_passes_may_write(self):
        model = load(parse(RELU))
        attrs = {
            "bool": True, "int": np.int64(3), "float": np.float32(0.5), "ints": (1, np.int32(2)), "mixed": [1, 0.5],
            "text": "t", "texts": ["t", b"\xff"], "tensor": Constant("", np.zeros(1, np.int8)),
        }  # fmt: skip
        model.graph.nodes[0].attrs.update(attrs)
        written = {a.name: helper.get_attribute_value(a) for a in to_proto(model).graph.node[0].attribute}
        assert written.pop("tensor") == numpy_helper.from_array(np.zeros(1, np.int8))
        assert written == {
            "bool": 1, "int": 3, "float": 0.5, "ints": [1, 2], "mixed": [1, 0.5], "text": b"t",
            "texts": [b"t", b"\xff"],
        }  # fmt: skip

    @pytest.mark.parametrize("value", [None, {}, [], [None], [1, "s"], object()], ids=kind_of)
    def test_what_nobody_can_write(self, value):
        model = load(parse(RELU))
        model.graph.nodes[0].attrs["odd"] = value
        with pytest.raises(OutputError, match="'odd'"):
            to_proto(model)


def test_nodes_keep_everything():
    proto = parse(RELU)
    node = proto.graph.node[0]
    node.name, node.domain, node.overload, node.doc_string = "n", "com.example", "o", "d"
    node.metadata_props.add(key="z", value="1")
    node.metadata_props.add(key="a", value="2")
    sharding = node.device_configurations.add(configuration_id="c", pipeline_stage=3)
    sharding.sharding_spec.add(tensor_name="x", device=[0, 1])
    assert_survives(proto)


class TestSubgraphs:
    TEXT = """g (float[3] x, bool c, int64 n) => (float[3] z, float[3] last) <float[3] w = {1, 2, 3}> {
        y = Neg(x)
        z = If(c) <
            then_branch = same () => (float[3] y) { },
            else_branch = same () => (float[3] t) <float[3] k = {4, 5, 6}> { s = Add(y, w) t = Mul(s, k) }>
        last, scans = Loop(n, c, x) <
            body = same (int64 i, bool go, float[3] s) => (bool going, float[3] t, float[3] x) {
            going = Identity(go) u = Add(s, w) t = If(go) <
                then_branch = a () => (float[3] r) { r = Add(u, y) },
                else_branch = b () => (float[3] r) { r = Sub(u, y) }> }>
    }"""

    def test_survive(self):
        proto = parse(self.TEXT)
        proto.graph.value_info.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]))
        assert_survives(proto)

    def test_captures_are_the_same_objects(self):
        model = load(parse(self.TEXT))
        neg, branch, loop = model.graph.nodes
        y = neg.outputs[0]
        assert branch.attrs["then_branch"].outputs[0] is y
        (add, _) = branch.attrs["else_branch"].nodes
        assert add.inputs[0] is y
        assert add.inputs[1] is model.graph.initializers[0]
        deep = loop.attrs["body"].nodes[2].attrs["then_branch"].nodes[0]
        assert deep.inputs[1] is y
        assert add in y.outputs
        assert deep in y.outputs
        assert all(graph.opsets is model.opsets for graph in walk.graphs(model.graph))

    def test_a_capture_shadowed_after_a_rename_is_refused(self):
        model = load(parse(self.TEXT))
        inner = model.graph.nodes[1].attrs["else_branch"]
        inner.nodes[0].outputs[0].name = "y"
        inner.nodes[1].inputs[1] = model.graph.nodes[0].outputs[0]
        with pytest.raises(OutputError, match="'y'"):
            to_proto(model)

    def test_a_new_constant_of_a_subgraph_is_declared_outside(self):
        model = load(parse(self.TEXT))
        add = model.graph.nodes[1].attrs["else_branch"].nodes[0]
        add.inputs[1] = Constant("fresh", np.ones(3, np.float32))
        written = to_proto(model).graph
        assert [tensor.name for tensor in written.initializer] == ["w", "fresh"]


class TestWriter:
    def test_two_tensors_of_one_name_are_a_bug(self):
        model = load(parse(WEIGHTS))
        model.graph.nodes[0].outputs[0].name = "w"
        with pytest.raises(OutputError, match="two tensors of one graph are named 'w'"):
            to_proto(model)

    def test_an_undefined_tensor_is_a_bug(self):
        model = load(parse(WEIGHTS))
        model.graph.nodes[0].inputs[0] = Variable("nowhere")
        with pytest.raises(OutputError, match="'nowhere' is read before anything defines it"):
            to_proto(model)

    def test_a_graph_made_by_hand(self):
        x, y = Variable("x", np.dtype(np.float32), ("N",)), Variable("y", np.dtype(np.float32), ("N",))
        graph = Graph([Node("Add", inputs=[x, Constant("c", np.ones(1, np.float32))], outputs=[y])], [x], [y], opset=21)
        model = load(parse(RELU))
        model.graph = graph
        onnx.checker.check_model(to_proto(model), full_check=True)

    def test_the_same_bytes_whatever_the_hash_seed(self, tmp_path):
        path = tmp_path / "m.onnx"
        onnx.save(parse(TestSubgraphs.TEXT), path)
        code = (
            "import sys, hashlib; from graphopt.ir.reader import load; from graphopt.ir.writer import save;"
            "save(load(sys.argv[1]), sys.argv[2]); print(hashlib.sha256(open(sys.argv[2], 'rb').read()).hexdigest())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", code, str(path), str(tmp_path / "out.onnx")],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(digests) == 1

    def test_saving_and_one_message_agree(self, tmp_path):
        model = load(parse(WEIGHTS))
        model.graph.initializers[0].values = np.arange(3000, dtype=np.float32).reshape(1000, 3)
        save(model, tmp_path / "m.onnx")
        assert (tmp_path / "m.onnx").read_bytes() == to_proto(model).SerializeToString(deterministic=True)
