"""The table of integer kernels of ONNX Runtime's CPU provider, held against the runtime that is installed."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from passes.quant.kernels import ORT_CPU, TABLES, Role
from tests.support import operators

IMAGE = (1, 8, 8, 8)


def floats(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def whole(*numbers):
    return np.array(numbers, np.int64)


CALLS = {
    "Conv": (IMAGE, floats(16, 8, 3, 3), floats(16)),
    "Gemm": ((4, 8), floats(8, 16), floats(16)),
    "MatMul": ((2, 4, 8), floats(8, 16)),
    "Add": (IMAGE, IMAGE),
    "Mul": (IMAGE, IMAGE),
    "Concat": (IMAGE, IMAGE),
    "AveragePool": (IMAGE,),
    "GlobalAveragePool": (IMAGE,),
    "MaxPool": (IMAGE,),
    "LeakyRelu": (IMAGE,),
    "Sigmoid": (IMAGE,),
    "Softmax": (IMAGE,),
    "ReduceMax": (IMAGE, whole(2, 3)),
    "Reshape": (IMAGE, whole(1, -1)),
    "Transpose": (IMAGE,),
    "Flatten": (IMAGE,),
    "Squeeze": (IMAGE, whole(0)),
    "Unsqueeze": (IMAGE, whole(0)),
    "Slice": (IMAGE, whole(0), whole(4), whole(1)),
    "Gather": (IMAGE, whole(0, 2)),
    "GatherElements": (IMAGE, np.zeros(IMAGE, np.int64)),
    "Expand": (IMAGE, whole(2, 8, 8, 8)),
    "Tile": (IMAGE, whole(2, 1, 1, 1)),
    "Resize": (IMAGE, None, np.array([1, 1, 2, 2], np.float32)),
    "DepthToSpace": (IMAGE,),
    "Where": (np.ones(IMAGE, bool), IMAGE, IMAGE),
    "Split": (IMAGE, whole(4, 4)),
    "Sub": (IMAGE, IMAGE),
    "Div": (IMAGE, IMAGE),
    "Max": (IMAGE, IMAGE),
    "Tanh": (IMAGE,),
    "HardSigmoid": (IMAGE,),
    "HardSwish": (IMAGE,),
    "Gelu": (IMAGE,),
    "Erf": (IMAGE,),
    "GlobalMaxPool": (IMAGE,),
    "ReduceMean": (IMAGE, whole(2, 3)),
    "PRelu": (IMAGE, floats(8, 1, 1)),
    "Pad": (IMAGE, whole(0, 0, 1, 1, 0, 0, 1, 1)),
    "SpaceToDepth": (IMAGE,),
    "LayerNormalization": (IMAGE, floats(8)),
    "ConvTranspose": (IMAGE, floats(8, 16, 3, 3)),
    "GatherND": (IMAGE, np.zeros((1, 1), np.int64)),
}
"""Calls of operators: activations by shape, constants by value."""
ATTRIBUTES = {
    "AveragePool": {"kernel_shape": [2, 2]},
    "MaxPool": {"kernel_shape": [2, 2]},
    "Concat": {"axis": 1},
    "Split": {"axis": 1},
    "Gather": {"axis": 1},
    "GatherElements": {"axis": 1},
    "DepthToSpace": {"blocksize": 2},
    "SpaceToDepth": {"blocksize": 2},
    "Transpose": {"perm": [0, 2, 3, 1]},
}


class Written:
    """A model of one call between conversions, as the pass writes it."""

    def __init__(self, activation):
        self.activation = np.dtype(activation)
        self.nodes, self.constants = [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def dequantised(self, name, integers, scale, **attributes):
        zero = np.zeros(np.shape(scale), integers.dtype)
        inputs = [self.constant(name, integers), self.constant(f"{name}.s", np.asarray(scale, np.float32))]
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear", [*inputs, self.constant(f"{name}.z", zero)], [f"{name}.d"], **attributes
            )
        )
        return f"{name}.d"

    def rounded(self, name, scale=0.02, bottom=False):
        zero = np.iinfo(self.activation).min if bottom else np.iinfo(self.activation).min + 100
        grid = [self.constant(f"{name}.s", np.float32(scale)), self.constant(f"{name}.z", self.activation.type(zero))]
        self.nodes.append(helper.make_node("QuantizeLinear", [name, *grid], [f"{name}.q"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *grid], [f"{name}.d"]))
        return f"{name}.d"

    def operand(self, op, place, given):
        kernel = ORT_CPU.get(op)
        if given is None:
            return ""
        if isinstance(given, tuple):
            return self.rounded(f"x{place}")
        if kernel is not None and place == kernel.weight:
            axis = kernel.axes[0] % given.ndim
            return self.dequantised("w", (given * 20).astype(np.int8), np.full(given.shape[axis], 0.05), axis=axis)
        if kernel is not None and place == kernel.bias:
            return self.dequantised("b", (given * 1000).astype(np.int32), np.full(given.shape, 0.001), axis=0)
        return self.constant(f"c{place}", given)

    def model(self, op, then=None):
        calls = CALLS[op]
        inputs = [
            helper.make_tensor_value_info(f"x{place}", TensorProto.FLOAT, given)
            for place, given in enumerate(calls)
            if isinstance(given, tuple)
        ]
        operands = [self.operand(op, place, given) for place, given in enumerate(calls)]
        results = ["y0", "y1"] if op == "Split" else ["y0"]
        self.nodes.append(helper.make_node(op, operands, results, **ATTRIBUTES.get(op, {})))
        if then:
            self.nodes.append(helper.make_node(then, ["y0"], ["r"]))
            results = ["r"]
        outputs = [
            helper.make_tensor_value_info(self.rounded(one, bottom=then is not None), TensorProto.FLOAT, None)
            for one in results
        ]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def executed(model, folder):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return operators(onnx.load(options.optimized_model_filepath))


def in_integers(op, found):
    """Whether the runtime took an integer kernel: one conversion for each operand and result is left."""
    operands = sum(isinstance(given, tuple) for given in CALLS[op])
    results = 2 if op == "Split" else 1
    return found["QuantizeLinear"] == operands and found["DequantizeLinear"] == results


@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("op", CALLS)
def test_the_runtime_has_an_integer_kernel_exactly_for_what_the_table_lists(op, activation, tmp_path):
    found = executed(Written(activation).model(op), tmp_path)
    assert in_integers(op, found) == (op in ORT_CPU), found


def test_every_line_of_the_table_is_tried():
    assert ORT_CPU.keys() <= CALLS.keys()


@pytest.mark.parametrize("activation", ["uint8", "int8"])
@pytest.mark.parametrize("op", ["Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "GlobalAveragePool"])
def test_saturation_performs_a_relu_that_follows(op, activation, tmp_path):
    found = executed(Written(activation).model(op, "Relu"), tmp_path)
    assert in_integers(op, found)
    assert "Relu" not in found


def test_kernels_that_write_integers_have_an_operator_in_the_other_format():
    for table in TABLES.values():
        if table.requantises:
            assert all(kernel.linear or kernel.role is Role.MOVE for kernel in table.kernels.values())
