"""Every operator of the table gives what ONNX Runtime gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from graphopt.ir.reader import load
from graphopt.numerics.run import run

torch = pytest.importorskip("torch", reason="distill needs torch")

from passes.distill.network.call import Call, NotDifferentiableError
from passes.distill.network.operators.table import TABLE
from passes.distill.network.program import Program

MICROSOFT = "com.microsoft"
RNG = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def p(*shape: int) -> np.ndarray:
    """Positive, below 0.9."""
    return RNG.uniform(0.1, 0.9, shape).astype(np.float32)


def i(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def n(value: float, dtype: Any = np.int64) -> np.ndarray:
    return np.array(value, dtype)


def b(*shape: int) -> np.ndarray:
    return RNG.random(shape) < 0.5


@dataclass
class Case:
    op: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    opset: int = 21
    outputs: int = 1
    domain: str = ""

    def __str__(self) -> str:
        said = [f"{key}={value}" for key, value in self.attrs.items() if not isinstance(value, onnx.TensorProto)]
        return "-".join(
            [self.op, str(self.opset), *said, *("x".join(map(str, x.shape)) for x in self.inputs if x is not None)]
        )

    def model(self) -> onnx.ModelProto:
        names = [f"i{k}" if x is not None else "" for k, x in enumerate(self.inputs)]
        outputs = [f"o{k}" for k in range(self.outputs)]
        node = helper.make_node(self.op, names, outputs, domain=self.domain, **self.attrs)
        fixed = [name for name, x in self.feeds.items() if self.op == "Resize" and x.dtype == np.int64]
        inputs = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), [None] * x.ndim)
            for name, x in zip(names, self.inputs, strict=True)
            if x is not None and name not in fixed
        ]
        held = [numpy_helper.from_array(self.feeds[name], name) for name in fixed]
        graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=name) for name in outputs], held)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    @property
    def feeds(self) -> dict[str, Any]:
        return {f"i{k}": x for k, x in enumerate(self.inputs) if x is not None}


def contrib(op: str, inputs: tuple[Any, ...], attrs: dict[str, Any] | None = None, **more: Any) -> Case:
    return Case(op, inputs, attrs or {}, domain=MICROSOFT, **more)


X = f(2, 3, 4)
IMAGE = f(2, 4, 7, 6)
LINE = f(2, 4, 9)
UNARY = (
    "Abs", "Asinh", "Atan", "Ceil", "Cos", "Cosh", "Elu", "Celu", "Selu", "Erf", "Exp", "Floor", "Identity", "IsNaN",
    "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sinh",
    "Softplus", "Softsign", "Tan", "Tanh", "ThresholdedRelu", "Gelu", "Softmax", "LogSoftmax", "Dropout",
)  # fmt: skip
UNIT = ("Acos", "Asin", "Atanh", "Log", "Reciprocal", "Sqrt")
BINARY = (
    "Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "PRelu", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual",
)  # fmt: skip
REDUCE = (
    "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare",
)  # fmt: skip
QUANTISED = (np.array(0.05, np.float32), np.array(128, np.uint8))
CHANNELS = (np.array([0.05, 0.02, 0.1, 0.04], np.float32), np.zeros(4, np.int8))

CASES = [
    *(Case(op, (X,)) for op in UNARY),
    *(Case(op, (p(2, 5),)) for op in UNIT),
    Case("Acosh", (p(2, 5) + 1,)),
    *(Case(op, (X, f(3, 1))) for op in BINARY),
    *(Case(op, (b(2, 3), b(3))) for op in ("And", "Or", "Xor")),
    Case("Not", (b(2, 3),)),
    Case("Max", (X, X * 2, -X)),
    Case("Div", (i(7, -7, 9), i(2, 2, -4))),
    Case("Mul", (i(7, -7, 9), i(2, 2, -4))),
    Case("Pow", (p(2, 3), n(2.0, np.float32))),
    Case("Pow", (p(2, 3), n(2))),
    Case("Pow", (i(2, 3), n(3))),
    Case("Mod", (i(7, -7, 9), i(4, 4, -4))),
    Case("Mod", (f(5), p(5)), {"fmod": 1}),
    Case("Elu", (X,), {"alpha": 0.5}),
    Case("Gelu", (X,), {"approximate": "tanh"}),
    Case("Swish", (X,), {"alpha": 1.5}, opset=24),
    Case("Softmax", (X,), {"axis": 1}),
    Case("Softmax", (X,), opset=11),
    Case("LogSoftmax", (X,), {"axis": 2}, opset=11),
    Case("Clip", (X, n(-0.5, np.float32), n(0.5, np.float32))),
    Case("Clip", (X, None, n(0.5, np.float32))),
    Case("Clip", (X,), {"min": -0.1, "max": 6.0}, opset=6),
    Case("Clip", (X,)),
    Case("Cast", (X,), {"to": onnx.TensorProto.INT32}),
    Case("Cast", (X,), {"to": onnx.TensorProto.FLOAT16}),
    Case("Cast", (b(3),), {"to": onnx.TensorProto.FLOAT}),
    Case("CastLike", (X, n(0))),
    Case("CumSum", (X, n(1))),
    Case("CumSum", (X, n(2)), {"exclusive": 1, "reverse": 1}),
    Case("Where", (b(3, 1), X, f(4))),
    # windows
    Case("Conv", (IMAGE, f(5, 4, 3, 3), f(5))),
    Case("Conv", (IMAGE, f(5, 4, 3, 3)), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    Case("Conv", (IMAGE, f(6, 2, 3, 3)), {"group": 2, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
    Case("Conv", (IMAGE, f(5, 4, 3, 2)), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    Case("Conv", (IMAGE, f(5, 4, 3, 2)), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    Case("Conv", (IMAGE, f(5, 4, 3, 2)), {"auto_pad": "VALID"}),
    Case("Conv", (LINE, f(5, 4, 3)), {"pads": [1, 1]}),
    Case("Conv", (f(1, 2, 4, 5, 6), f(3, 2, 2, 2, 2)), {"pads": [1, 0, 0, 0, 1, 0]}),
    Case("ConvTranspose", (IMAGE, f(4, 5, 3, 3), f(5)),
         {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    Case("ConvTranspose", (IMAGE, f(4, 3, 3, 3)), {"group": 2, "pads": [0, 1, 1, 0], "strides": [2, 1]}),
    Case("ConvTranspose", (LINE, f(4, 5, 3))),
    Case("MaxPool", (IMAGE,), {"kernel_shape": [2, 3], "strides": [2, 2], "pads": [1, 1, 0, 1]}),
    Case("MaxPool", (IMAGE,), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    Case("MaxPool", (IMAGE,), {"kernel_shape": [3, 3], "dilations": [2, 2]}),
    Case("MaxPool", (LINE,), {"kernel_shape": [2], "auto_pad": "SAME_UPPER"}),
    Case("AveragePool", (IMAGE,), {"kernel_shape": [3, 3], "pads": [1, 1, 0, 0]}),
    Case("AveragePool", (IMAGE,),
         {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1, "strides": [2, 2]}),
    Case("AveragePool", (IMAGE,), {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
    Case("AveragePool", (LINE,), {"kernel_shape": [3]}),
    Case("GlobalAveragePool", (IMAGE,)),
    Case("GlobalMaxPool", (IMAGE,)),
    contrib("FusedConv", (IMAGE, f(5, 4, 3, 3), f(5)), {"activation": "Relu"}),
    contrib("FusedConv", (IMAGE, f(5, 4, 3, 3), f(5)), {"activation": "LeakyRelu", "activation_params": [0.2]}),
    contrib("FusedConv", (IMAGE, f(5, 4, 3, 3), f(5)), {"activation": "Clip", "activation_params": [0.0, 1.0]}),
    contrib("FusedConv", (IMAGE, f(5, 4, 3, 3), f(5)), {"activation": "HardSigmoid", "activation_params": [0.2, 0.5]}),
    contrib("FusedConv", (IMAGE, f(5, 4, 3, 3), f(5), f(2, 5, 5, 4)), {"activation": "Relu"}),
    # products
    Case("Gemm", (f(2, 3), f(4, 3), f(4)), {"transB": 1}),
    Case("Gemm", (f(3, 2), f(3, 4), f(2, 1)), {"transA": 1, "alpha": 0.5, "beta": 2.0}),
    Case("Gemm", (f(2, 3), f(3, 4))),
    Case("MatMul", (f(2, 3, 4), f(4, 5))),
    Case("MatMul", (f(4), f(4, 5))),
    Case("Einsum", (f(2, 3, 4), f(2, 4, 5)), {"equation": "bij,bjk->bik"}),
    contrib("FusedGemm", (f(2, 3), f(4, 3), f(4)), {"transB": 1, "activation": "Relu"}),
    contrib("FusedMatMul", (f(2, 4, 3), f(2, 5, 4)), {"transA": 1, "transB": 1, "alpha": 0.5}),
    contrib("Gelu", (f(2, 3),)),
    contrib("BiasGelu", (f(2, 3), f(3))),
    contrib("FastGelu", (f(2, 3), f(3))),
    contrib("FastGelu", (f(2, 3),)),
    contrib("QuickGelu", (f(2, 3),), {"alpha": 1.5}),
    # attention
    contrib("Attention", (f(2, 3, 8), f(8, 24), f(24)), {"num_heads": 2}),
    contrib("Attention", (f(2, 3, 8), f(8, 24), f(24)), {"num_heads": 2, "unidirectional": 1}),
    contrib("Attention", (f(2, 3, 8), f(8, 24), f(24), np.array([[1, 1, 0], [1, 0, 0]], np.int32)), {"num_heads": 2}),
    contrib("MultiHeadAttention", (f(2, 3, 8), f(2, 5, 8), f(2, 5, 8)), {"num_heads": 2, "scale": 0.5}),
    contrib("MultiHeadAttention", (f(2, 3, 8), f(2, 3, 8), f(2, 3, 8), f(24)), {"num_heads": 4}),
    contrib("MultiHeadAttention", (f(2, 3, 8), f(2, 5, 8), f(2, 5, 8), None, None, f(1, 1, 3, 5)), {"num_heads": 2}),
    contrib("RotaryEmbedding", (f(2, 3, 16), np.array([[0, 1, 2], [2, 3, 1]]), f(6, 4), f(6, 4))),
    contrib("RotaryEmbedding", (f(2, 2, 3, 8), i(2), f(6, 4), f(6, 4)), {"interleaved": 1}),
    Case("Attention", (f(2, 4, 3, 8), f(2, 2, 5, 8), f(2, 2, 5, 8)), opset=23),
    Case("Attention", (f(2, 3, 8), f(2, 3, 8), f(2, 3, 8), f(3, 3)), {"q_num_heads": 2, "kv_num_heads": 2}, opset=23),
    Case("Attention", (f(2, 3, 8),) * 3, {"q_num_heads": 2, "kv_num_heads": 2, "is_causal": 1}, opset=23),
    # reductions
    *(Case(op, (p(2, 3, 4), i(1)), {"keepdims": 0}) for op in REDUCE),
    *(Case(op, (p(2, 3, 4),)) for op in REDUCE),
    Case("ReduceMean", (X,), {"axes": [0, -1]}, opset=13),
    Case("ReduceSum", (X,), {"noop_with_empty_axes": 1}),
    Case("ReduceProd", (i(2, 3, 4),), {"keepdims": 0}),
    Case("ReduceLogSum", (p(2, 3, 4), i(0, 2))),
    Case("ArgMax", (X,), {"axis": 1}),
    Case("ArgMin", (i(1, 0, 0),), {"select_last_index": 1, "keepdims": 0}),
    Case("TopK", (X, i(2)), outputs=2),
    Case("TopK", (X, i(2)), {"axis": 1, "largest": 0}, outputs=2),
    # normalisations
    Case("BatchNormalization", (IMAGE, f(4), f(4), f(4), p(4)), {"epsilon": 1e-3}),
    Case("InstanceNormalization", (IMAGE, f(4), f(4))),
    Case("GroupNormalization", (IMAGE, f(4), f(4)), {"num_groups": 2}),
    Case("GroupNormalization", (IMAGE, f(2), f(2)), {"num_groups": 2}, opset=20),
    Case("LayerNormalization", (X, f(4), f(4))),
    Case("LayerNormalization", (X, f(3, 4)), {"axis": 1, "epsilon": 1e-2}),
    Case("RMSNormalization", (X, f(4)), opset=23),
    Case("LRN", (IMAGE,), {"size": 3, "alpha": 0.1}),
    Case("LpNormalization", (X,), {"axis": 1, "p": 2}),
    Case("LpNormalization", (X,), {"axis": 1, "p": 1}),
    Case("SimplifiedLayerNormalization", (X, f(4)), {"axis": -1}),
    contrib("SkipLayerNormalization", (X, f(2, 3, 4), f(4), f(4), f(4))),
    contrib("SkipSimplifiedLayerNormalization", (X, f(2, 3, 4), f(4), f(4))),
    # quantisation
    Case("QuantizeLinear", (X, *QUANTISED)),
    Case("QuantizeLinear", (IMAGE, *CHANNELS), {"axis": 1}),
    Case("QuantizeLinear", (IMAGE, CHANNELS[0]), {"axis": 1}),
    Case("DequantizeLinear", ((X * 20 + 100).astype(np.uint8), *QUANTISED)),
    Case("DequantizeLinear", ((f(4, 3) * 20).astype(np.int8), *CHANNELS), {"axis": 0}),
    Case("DequantizeLinear", ((X * 1000).astype(np.int32), QUANTISED[0])),
    contrib("QuantizeLinear", (X, *QUANTISED)),
    contrib("DequantizeLinear", ((X * 20 + 100).astype(np.uint8), *QUANTISED)),
    # recurrent
    Case("LSTM", (f(5, 2, 3), f(1, 16, 3), f(1, 16, 4), f(1, 32)), {"hidden_size": 4}, outputs=3),
    Case("LSTM", (f(5, 2, 3), f(2, 16, 3), f(2, 16, 4), f(2, 32), None, f(2, 2, 4), f(2, 2, 4)),
         {"hidden_size": 4, "direction": "bidirectional"}, outputs=3),
    Case("GRU", (f(5, 2, 3), f(1, 12, 3), f(1, 12, 4), f(1, 24)),
         {"hidden_size": 4, "linear_before_reset": 1}, outputs=2),
    Case("GRU", (f(5, 2, 3), f(1, 12, 3), f(1, 12, 4)), {"hidden_size": 4, "direction": "reverse"}, outputs=2),
    Case("RNN", (f(5, 2, 3), f(1, 4, 3), f(1, 4, 4), f(1, 8)), {"hidden_size": 4}, outputs=2),
    Case("RNN", (f(5, 2, 3), f(1, 4, 3), f(1, 4, 4)), {"hidden_size": 4, "activations": ["Relu"]}, outputs=2),
    # shapes
    Case("Reshape", (X, i(0, -1))),
    Case("Reshape", (f(1), np.empty(0, np.int64))),
    Case("Flatten", (IMAGE,), {"axis": 2}),
    Case("Flatten", (IMAGE,), {"axis": -1}),
    Case("Transpose", (X,)),
    Case("Transpose", (X,), {"perm": [1, 2, 0]}),
    Case("Squeeze", (f(1, 3, 1), i(-1))),
    Case("Squeeze", (f(1, 3, 1),)),
    Case("Squeeze", (f(1, 3, 1),), {"axes": [0]}, opset=11),
    Case("Unsqueeze", (X, i(0, -1))),
    Case("Unsqueeze", (X,), {"axes": [1]}, opset=11),
    Case("Concat", (X, f(2, 1, 4)), {"axis": 1}),
    Case("Split", (X, i(1, 3)), {"axis": 2}, outputs=2),
    Case("Split", (X,), {"axis": 2, "num_outputs": 2}, outputs=2),
    Case("Split", (X,), {"axis": 1, "split": [2, 1]}, opset=11, outputs=2),
    Case("Slice", (X, i(0, 1), i(9, 3), i(1, -1), i(2, 1))),
    Case("Slice", (X, i(-1), i(-(2**62)), i(2), i(-1))),
    Case("Slice", (X, i(3), i(0), i(2), i(-2))),
    Case("Slice", (X,), {"starts": [1], "ends": [2**40], "axes": [1]}, opset=9),
    Case("Gather", (X, np.array([[0, -1]])), {"axis": 1}),
    Case("Gather", (X, n(1))),
    Case("GatherElements", (X, np.array([[[0, -1, 1, 0]]] * 2)), {"axis": 1}),
    Case("GatherND", (X, np.array([[0, 1], [1, 2]]))),
    Case("GatherND", (X, np.array([[1], [2]])), {"batch_dims": 1}),
    Case("ScatterND", (X, np.array([[0, 1], [1, 2]]), f(2, 4))),
    Case("ScatterND", (X, np.array([[0, 1], [0, 1]]), f(2, 4)), {"reduction": "add"}),
    Case("Expand", (f(3, 1), i(2, 1, 4))),
    Case("Tile", (X, i(1, 2, 3))),
    Case("Pad", (X, i(0, 1, 0, 0, 2, 1), n(1.5, np.float32))),
    Case("Pad", (X, i(1, 2), None, i(-1)), {"mode": "edge"}),
    Case("Pad", (X, i(0, 1, 2, 0, 0, 1)), {"mode": "reflect"}),
    Case("Pad", (X, i(0, 1, 2, 0, 0, 1)), {"mode": "wrap"}),
    Case("Pad", (X,), {"pads": [0, 0, 1, 0, 0, 1], "value": 2.0}, opset=9),
    Case("Shape", (X,)),
    Case("Shape", (X,), {"start": 1, "end": -1}),
    Case("Size", (X,)),
    Case("Range", (n(1), n(9), n(3))),
    Case("Constant", (), {"value_floats": [1.0, 2.0]}),
    Case("ConstantOfShape", (i(2, 3),), {"value": numpy_helper.from_array(np.array([7], np.int64))}),
    Case("ConstantOfShape", (i(2, 3),)),
    Case("DepthToSpace", (f(1, 8, 2, 3),), {"blocksize": 2}),
    Case("DepthToSpace", (f(1, 8, 2, 3),), {"blocksize": 2, "mode": "CRD"}),
    Case("SpaceToDepth", (f(1, 2, 4, 6),), {"blocksize": 2}),
    Case("Trilu", (f(3, 4), n(1))),
    Case("Trilu", (f(3, 4),), {"upper": 0}),
    Case("OneHot", (i(1, -1), n(3), f(2))),
    Case("OneHot", (i(1, 2), n(3), f(2)), {"axis": 0}),
    Case("EyeLike", (f(3, 4),), {"k": 1}),
    Case("NonZero", (b(3, 4),)),
    # resizing
    Case("Resize", (IMAGE, None, None, i(2, 4, 14, 9)), {"mode": "nearest"}),
    Case("Resize", (IMAGE, None, np.array([1, 1, 2, 2], np.float32)),
         {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
    Case("Resize", (IMAGE, None, np.array([1, 1, 0.6, 1.5], np.float32)), {"mode": "linear"}),
    Case("Resize", (IMAGE, None, None, i(2, 4, 13, 3)),
         {"mode": "linear", "coordinate_transformation_mode": "align_corners"}),
    Case("Resize", (IMAGE, None, None, i(2, 4, 13, 1)),
         {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}),
    Case("Resize", (IMAGE, None, None, i(2, 4, 13, 8)), {"mode": "cubic"}),
    Case("Resize", (IMAGE, None, None, i(2, 4, 13, 8)), {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5}),
    Case("Resize", (IMAGE, np.array([1, 1, 2, 2], np.float32)), {"mode": "linear"}, opset=10),
    Case("Resize", (IMAGE, None, None, i(2, 4, 3, 8)), {"mode": "cubic", "antialias": 1}),
    Case("Resize", (IMAGE, None, None, i(2, 4, 3, 8)), {"mode": "linear", "antialias": 1}),
    Case("Upsample", (IMAGE, np.array([1, 1, 2, 2], np.float32)), {"mode": "nearest"}, opset=9),
]  # fmt: skip


def ours(case: Case) -> list[np.ndarray]:
    model = load(case.model())
    program = Program(model.graph, model.opsets)
    given = {tensor: torch.from_numpy(case.feeds[tensor.name]) for tensor in model.graph.inputs}
    return [value.detach().numpy() for value in program.run(given, model.graph.outputs)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_operator_gives_what_the_runtime_gives(case):
    expected = run(case.model().SerializeToString(), case.feeds)
    for found, wanted in zip(ours(case), expected, strict=True):
        quantised = case.op == "QuantizeLinear"  # held as floats, so that gradients pass
        assert found.shape == wanted.shape
        assert quantised or found.dtype == wanted.dtype
        np.testing.assert_allclose(found.astype(np.float64), wanted.astype(np.float64), rtol=2e-5, atol=2e-5)


def test_every_operator_of_the_table_is_tested():
    tested = {(case.domain, case.op) for case in CASES}
    sequences = {("", name) for name in ("SplitToSequence", "SequenceAt", "SequenceConstruct")}
    assert set(TABLE) - tested - sequences - {("com.microsoft", "SimplifiedLayerNormalization")} == set()


def test_sequences_are_taken_apart():
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[4, 2] x) => (float[2, 2] y) {
        size = Constant <value = int64 {2}> ()
        at = Constant <value = int64 {1}> ()
        parts = SplitToSequence <axis = 0> (x, size)
        y = SequenceAt (parts, at)
    }"""
    model = load(onnx.parser.parse_model(text))
    x = f(4, 2)
    (found,) = Program(model.graph, model.opsets).run({model.graph.inputs[0]: torch.from_numpy(x)}, model.graph.outputs)
    np.testing.assert_array_equal(found.numpy(), x[2:])


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case("Resize", (IMAGE, None, None, i(2, 4, 3, 3)), {"keep_aspect_ratio_policy": "not_larger"}), "aspect"),
        (Case("MaxPool", (IMAGE,), {"kernel_shape": [2, 2]}, outputs=2), "indices"),
        (Case("Add", (f(2, 3), f(3)), {"broadcast": 1}, opset=6), "broadcasts"),
        (Case("ConvTranspose", (IMAGE, f(4, 5, 3, 3)), {"output_shape": [9, 8]}), "output_shape"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_refused_by_name(case, reason):
    with pytest.raises(NotDifferentiableError, match=reason):
        ours(case)


def test_a_network_with_unknown_operators_is_refused_with_all_their_names():
    case = Case("NonMaxSuppression", (f(1, 6, 4), f(1, 1, 6)))
    with pytest.raises(NotDifferentiableError, match="NonMaxSuppression"):
        ours(case)


def test_attributes_of_old_files_are_bytes():
    model = load(Case("Pad", (X,), {"pads": [0] * 6, "mode": b"edge"}, opset=9).model())
    assert Call(model.graph.nodes[0], 9).attr("mode", "constant") == "edge"
