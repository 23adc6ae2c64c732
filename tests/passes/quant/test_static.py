"""Static quantisation, end to end: what is written, how right it is, and that the runtime's integer kernels fire."""

import numpy as np
import onnx
import pytest

import graphopt
from graphopt.errors import UsageError
from tests.passes.quant.nets import CONVS, INTEGERS, WEIGHTS, convs, executed, quantised, run, samples, saved, sqnr
from tests.support import operators, proto


@pytest.fixture
def data(tmp_path):
    return saved(tmp_path, x=samples())


def test_every_layer_runs_in_integers_and_only_the_input_is_quantised(data):
    result = quantised(convs(), data)
    found = executed(result.model)
    assert {op: found[op] for op in INTEGERS} == INTEGERS
    assert not {"Conv", "Gemm", "Relu", "Add", "GlobalAveragePool"} & found.keys()
    assert found["QuantizeLinear"] == 1
    x = samples(seed=2)
    assert sqnr(*(run(model, x=x)[0] for model in (convs(), result.model))) > 25


def test_the_format_of_operators_holds_the_same_kernels(data):
    result = quantised(convs(), data, "quant:scheme=static:format=qoperator")
    found = operators(result.model)
    assert {op: found[op] for op in INTEGERS} == INTEGERS
    onnx.checker.check_model(result.model.to_proto())
    x = samples(seed=2)
    assert sqnr(*(run(model, x=x)[0] for model in (convs(), result.model))) > 25


def test_every_layer_is_checked_on_what_it_is_fed(data):
    result = quantised(convs(), data, verify="region")
    layers = [entry for entry in result.report.rewrites if entry.rule == "quantised_layer"]
    assert len(layers) == 8
    assert all(entry.contract == "lossy(sqnr >= 10)" and entry.verdict.error > 20 for entry in layers)
    assert all(str(entry.verdict.status) == "verified" for entry in layers)


def test_a_layer_below_the_floor_is_undone_alone(data):
    w1 = np.random.default_rng(0).standard_normal((8, 8, 3, 3)).astype(np.float32)
    w1[:, 0] *= 1e6  # of a channel that is always zero: nothing else is left on a grid for all
    b0 = np.zeros(8, np.float32)
    b0[0] = -1e4
    net = proto(CONVS, WEIGHTS | {"w1": w1, "b0": b0})
    result = quantised(net, data, "quant:scheme=static:channels=no:floor=25", verify="region")
    assert [entry.place for entry in result.report.rolled_back] == ["Conv c"]
    assert executed(result.model)["QLinearConv"] == 1
    assert "sqnr is" in result.report.rolled_back[0].verdict.detail


def test_what_is_excluded_stays_float(data):
    result = quantised(convs(), data, "quant:scheme=static:exclude=r+s")
    assert operators(result.model)["Conv"] == 2
    assert executed(result.model)["QLinearConv"] == 1
    x = samples(seed=2)
    assert sqnr(*(run(model, x=x)[0] for model in (convs(), result.model))) > 25
    with pytest.raises(UsageError, match="no layer 'nowhere'"):
        quantised(convs(), data, "quant:scheme=static:exclude=nowhere")


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
def test_the_runtime_does_not_round_by_itself_what_is_left_float_between_integers(form, data):
    result = quantised(convs(), data, f"quant:scheme=static:format={form}:exclude=c", verify="region")
    assert executed(result.model)["Conv"] == executed(result.model)["QLinearConv"] == 1
    assert [entry.place for entry in result.report.rewrites if entry.rule == "float_island"]


def test_the_target_decides_about_types_and_bits(data):
    def types(target, **options):
        model = quantised(convs(), data, target=target, **options).model.to_proto()
        found = {one.name: one for one in model.graph.initializer}
        down = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
        weights = [onnx.numpy_helper.to_array(one) for one in found.values() if len(one.dims) == 4]
        return found[down.input[2]].data_type, max(int(np.abs(one.astype(int)).max()) for one in weights)

    unsigned, signed = onnx.TensorProto.UINT8, onnx.TensorProto.INT8
    assert types("x64-vnni") == (unsigned, 127)
    assert types("x64-avx2") == types("x64-any") == (unsigned, 64)
    assert types("arm64") == (signed, 127)
    assert types("tensorrt") == (signed, 127)


def test_tensorrt_quantises_what_products_read_and_leaves_biases_and_results(data):
    model = quantised(convs(), data, target="tensorrt").model.to_proto()
    made = {output: node for node in model.graph.node for output in node.output}
    found = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert [made[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
            assert all(name in found for name in node.input[2:])
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert not found[node.input[2]].any()
    x = samples(seed=2)
    assert sqnr(run(convs(), x=x)[0], run(model, x=x)[0]) > 20


def test_activations_of_16_bits_are_for_other_runtimes(data):
    with pytest.raises(UsageError, match="no kernels for activations of 16 bits"):
        quantised(convs(), data, "quant:scheme=static16")
    model = quantised(convs(), data, "quant:scheme=static16", target="portable").model.to_proto()
    assert next(one.version for one in model.opset_import if not one.domain) == 21
    onnx.checker.check_model(model)
    x = samples(seed=2)
    assert sqnr(run(convs(), x=x)[0], run(model, x=x)[0]) > 35


def test_cuda_has_no_such_kernels_and_says_what_has(data):
    with pytest.raises(UsageError, match="tensorrt does"):
        quantised(convs(), data, target="cuda")


def test_without_data_nothing_is_guessed():
    with pytest.raises(UsageError, match="--calibration DATA"):
        graphopt.optimize(convs(), passes="quant:scheme=static", verify="off")


def test_tensorrt_takes_neither_asymmetric_activations_nor_operators(data):
    with pytest.raises(UsageError, match="symmetric"):
        quantised(convs(), data, "quant:scheme=static:symmetric=no", target="tensorrt")
    with pytest.raises(UsageError, match="qdq only"):
        quantised(convs(), data, "quant:scheme=static:format=qoperator", target="tensorrt")


def test_a_second_compile_comes_to_the_same_bytes(data):
    first, second = (quantised(convs(), data).model.to_proto().SerializeToString() for _ in range(2))
    assert first == second


def test_what_stayed_float_is_told_with_its_reason(data):
    text = CONVS.replace("f = Flatten (g)", "e = Elu (g)\n    f = Flatten (e)")
    report = quantised(proto(text, WEIGHTS), data, verify="region").report
    (table,) = [table for table in report.tables if table.title == "operators that stayed float"]
    assert [row[0] for row in table.rows][:1] == ["Elu"]
    assert "no integer kernel" in table.rows[0][-1]


def test_conversions_tell_nothing_of_the_nodes_that_they_stand_beside(data):
    net = convs()
    net.ir_version = 10
    for node in net.graph.node:
        node.metadata_props.add(key="stack", value="a long story")
    model = quantised(net, data).model.to_proto()
    told = {node.op_type: {one.key for one in node.metadata_props} for node in model.graph.node}
    assert told["QuantizeLinear"] == told["DequantizeLinear"] == set()
    assert {"stack", "graphopt.rule"} <= told["Conv"]
