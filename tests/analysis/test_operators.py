"""What operators make of named dimensions. That the answers are true is shown by test_node_cases and test_corpus."""

import re

import numpy as np
import pytest

from graphopt.analysis import Shapes
from graphopt.ir.reader import load
from tests.support import proto


def shape(text, weights=None, output="y", **options):
    """The shape of `output` in a graph: inputs, then nodes, as onnx text."""
    inputs, nodes = text.split("=>")
    opset = options.pop("opset", 21)
    header = f'<ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1, "ai.onnx.ml" : 3]>'
    message = proto(f"{header} g ({inputs}) => (float {output}) {{ {nodes} }}", weights)
    message.graph.output[0].ClearField("type")
    model = load(message)
    found = Shapes(model, **options).type(model.graph.outputs[0])
    return found.shape


CASES = [
    # element by element
    ("float[n, 1, 3] x, float[m, 3] z => y = Add(x, z)", ("n", "m", 3)),
    ("float[n, 3] x, float[m, 3] z => y = Add(x, z)", (None, 3)),
    ("float[n, 3] x, float[n, 1] z => y = Mul(x, z)", ("n", 3)),
    ("float[n] x, float[5] z => y = Max(x, z)", (5,)),
    ("float[n] x, bool[1] c => y = Where(c, x, x)", ("n",)),
    # layout
    ("float[n, 49, 96] x => s = Constant<value_ints = [-1, 96]>() y = Reshape(x, s)", ("49*n", 96)),
    ("float[n, 49, 96] x => s = Constant<value_ints = [-1, 7, 7, 96]>() y = Reshape(x, s)", ("n", 7, 7, 96)),
    ("float[n, h] x => s = Constant<value_ints = [0, 8, -1]>() y = Reshape(x, s)", ("n", 8, "h/8")),
    ("float[n, 4, 6] x => s = Constant<value_ints = [0, 0, 2, 3]>() y = Reshape(x, s)", ("n", 4, 2, 3)),
    ("float[n, 4] x, int64[3] s => y = Reshape(x, s)", (None, None, None)),
    ("float[n, 4] x, int64[k] s => y = Reshape(x, s)", None),
    ("float[n, 4, h] x => y = Flatten<axis = 2>(x)", ("4*n", "h")),
    ("float[n, 4, h] x => y = Flatten<axis = -1>(x)", ("4*n", "h")),
    ("float[n, 4, h] x => y = Transpose<perm = [2, 0, 1]>(x)", ("h", "n", 4)),
    ("float[n, 4, h] x => y = Transpose(x)", ("h", 4, "n")),
    ("float[n, 1, h] x => a = Constant<value_ints = [-2]>() y = Squeeze(x, a)", ("n", "h")),
    ("float[n, 1, h] x => y = Squeeze(x)", None),
    ("float[n, 1, h] x => a = Constant<value_ints: ints = []>() y = Squeeze(x, a)", None),
    ("float[2, 1, 3] x => a = Constant<value_ints: ints = []>() y = Squeeze(x, a)", (2, 3)),
    ("float[n] x => a = Constant<value_ints = [0, -1]>() y = Unsqueeze(x, a)", (1, "n", 1)),
    ("float[n] x, int64[2] a => y = Unsqueeze(x, a)", (None, None, None)),
    ("float[n, 1] x => s = Constant<value_ints = [3, 1, 4]>() y = Expand(x, s)", (3, "n", 4)),
    ("float[n, 2] x => r = Constant<value_ints = [2, 3]>() y = Tile(x, r)", ("2*n", 6)),
    # joining and cutting
    ("float[n, 3] x, float[m, 3] z => y = Concat<axis = 0>(x, z, x)", ("m + 2*n", 3)),
    ("float[n, 3] x, float[n, k] z => y = Concat<axis = -1>(x, z)", ("n", "k + 3")),
    ("float[n, 6] x => y, z = Split<axis = 1, num_outputs = 2>(x)", ("n", 3)),
    ("float[n, 7] x => z, y = Split<axis = 1, num_outputs = 2>(x)", ("n", 3)),
    (("float[h, w] x => a = Constant<value_ints = [1]>() b = Constant<value_ints = [9223372036854775807]>()"
      " y = Slice(x, a, b)"), ("max(0, h - 1)", "w")),
    (("float[4] x => a = Constant<value_ints = [-1]>() b = Constant<value_ints = [9223372036854775807]>()"
      " i = Constant<value_ints = [0]>() y = Slice(x, a, b, i, a)"), (None,)),
    (("float[4] x => a = Constant<value_ints = [-9]>() b = Constant<value_ints = [-99]>()"
      " i = Constant<value_ints = [0]>() s = Constant<value_ints = [-1]>() y = Slice(x, a, b, i, s)"), (1,)),
    ("float[h] x => a = Constant<value_ints = [0]>() b = Constant<value_ints = [-1]>() y = Slice(x, a, b)",
     ("max(0, h - 1)",)),
    ("float[h] x => a = Constant<value_ints = [0]>() b = Constant<value_ints = [5]>() y = Slice(x, a, b)",
     ("min(5, h)",)),
    (("float[h] x => a = Constant<value_ints = [0]>() b = Constant<value_ints = [9223372036854775807]>()"
      " s = Constant<value_ints = [2]>() i = Constant<value_ints = [0]>() y = Slice(x, a, b, i, s)"),
     ("floor(h/2 + 1/2)",)),
    (("float[h, w] x, int64[1] a => b = Constant<value_ints = [9]>() i = Constant<value_ints = [0]>()"
      " y = Slice(x, a, b, i)"), (None, "w")),
    ("float[n, h] x => p = Constant<value_ints = [0, 1, 0, 2]>() y = Pad(x, p)", ("n", "h + 3")),
    # picking
    ("float[n, h, 4] x, int64[2, k] i => y = Gather<axis = 1>(x, i)", ("n", 2, "k", 4)),
    ("float[n, h] x, int64[n, 3] i => y = GatherElements<axis = 1>(x, i)", ("n", 3)),
    ("float[n, h, 4] x, int64[k, 2] i => y = GatherND(x, i)", ("k", 4)),
    ("float[n, 3] x => z = NonZero(x) y = Transpose(z)", (None, 2)),
    ("int64[n] x, float[2] v => d = Constant<value_int = 7>() y = OneHot(x, d, v)", ("n", 7)),
    ("float[n, 100] x => k = Constant<value_ints = [5]>() y, z = TopK(x, k)", ("n", 5)),
    # making
    ("float[n, h] x => s = Shape(x) y = ConstantOfShape(s)", ("n", "h")),
    (("float[n, h] x => s = Shape<start = 1>(x) r = Squeeze(s) z = Constant<value_int = 0>()"
      " o = Constant<value_int = 2>() y = Range(z, r, o)"), ("floor(h/2 + 1/2)",)),
    # products and windows
    ("float[n, t, 8] x => y = MatMul(x, W)", ("n", "t", 5)),
    ("float[n, h, t, 8] x, float[n, h, 8, t] z => y = MatMul(x, z)", ("n", "h", "t", "t")),
    ("float[8] x => y = MatMul(x, W)", (5,)),
    ("float[8, n] x => y = Gemm<transA = 1>(x, W)", ("n", 5)),
    ("float[n, 3, h, w] x => y = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, K)",
     ("n", 4, "floor(h/2 + 1/2)", "floor(w/2 + 1/2)")),
    ('float[n, 3, h, w] x => y = Conv<auto_pad = "SAME_UPPER", strides = [2, 2]>(x, K)',
     ("n", 4, "floor(h/2 + 1/2)", "floor(w/2 + 1/2)")),
    ("float[n, 3, h, w] x => y = Conv<dilations = [2, 1]>(x, K)", ("n", 4, "h - 4", "w - 2")),
    ("float[n, 4, h, w] x => y = ConvTranspose<strides = [2, 2], pads = [1, 1, 0, 0]>(x, K)", ("n", 3, "2*h", "2*w")),
    ("float[n, 4, h, w] x => y = ConvTranspose<output_shape = [9, 8], strides = [2, 2]>(x, K)", ("n", 3, 9, 8)),
    ('float[n, 4, h, w] x => y = ConvTranspose<auto_pad = "SAME_LOWER", strides = [3, 4]>(x, K)',
     ("n", 3, "3*h", None)),
    ("float[n, 4, h, 9] x => y = MaxPool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(x)",
     ("n", 4, "floor(h/2 + 1/2)", 5)),
    ("float[n, 4, h, w] x => y = GlobalAveragePool(x)", ("n", 4, 1, 1)),
    ("float[n, 4, h, w] x => y = Resize(x, , S)", ("n", 4, "2*h", "floor(w/2)")),
    ('float[b, i, j] x, float[b, j, k] z => y = Einsum<equation = "bij,bjk->bik">(x, z)', ("b", "i", "k")),
    # reductions
    ("float[n, h, 4] x => a = Constant<value_ints = [-1]>() y = ReduceMean(x, a)", ("n", "h", 1)),
    ("float[n, h, 4] x => a = Constant<value_ints = [-1]>() y = ReduceSum<keepdims = 0>(x, a)", ("n", "h")),
    ("float[n, h] x => y = ReduceMax<keepdims = 0>(x)", ()),
    ("float[n, h] x, int64[1] a => y = ReduceMax(x, a)", (None, None)),
    ("float[n, h] x => y = ArgMax<axis = 1, keepdims = 0>(x)", ("n",)),
    ("float[n, h, 8] x => z, y = LayerNormalization(x, G)", ("n", "h", 1)),
    # through onnx's own inference
    ("float[t, n, 8] x => y = LSTM<hidden_size = 5>(x, WI, WR)", ("t", 1, "n", 5)),
    ("float[n, 1, h, w] x => y = DepthToSpace<blocksize = 1>(x)", ("n", 1, "h", "w")),
    ("float[t, n, 8] x => y = Bernoulli(x)", ("t", "n", 8)),
    # ONNX Runtime's own
    ("float[n, t, 8] x, float[8] s => y = com.microsoft.SkipLayerNormalization(x, x, s)", ("n", "t", 8)),
    ("float[n, t, 8] x => y = com.microsoft.BiasGelu(x, G)", ("n", "t", 8)),
    ("float[n, 8, t] x, float[n, 8, k] z => y = com.microsoft.FusedMatMul<transA = 1>(x, z)", ("n", "t", "k")),
    ("float[n, t, 8] x => y = com.microsoft.MultiHeadAttention<num_heads = 2>(x, x, x)", ("n", "t", 8)),
    ("float[n, t, 8] x => y = com.microsoft.MatMulNBits<K = 8, N = 5, bits = 4, block_size = 16>(x, Q, G)",
     ("n", "t", 5)),
    ("float[n, 8] x => z, y = ai.onnx.ml.LinearClassifier<classlabels_ints = [1, 2, 3], coefficients = [1.0]>(x)",
     ("n", 3)),
    ("float[n, 8] x => y = unheard.Of(x)", None),
]  # fmt: skip

WEIGHTS = {
    "W": (8, 5), "K": (4, 3, 3, 3), "S": np.float32([1, 1, 2, 0.5]), "G": (8,), "WI": (1, 20, 8), "WR": (1, 20, 5),
    "Q": np.zeros((5, 1, 8), np.uint8),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text for text, _ in CASES])
def test_shape(text, expected):
    weights = {name: value for name, value in WEIGHTS.items() if re.search(rf", {name}\b", text.split("=>")[1])}
    assert shape(text, weights) == expected


OLD = [
    (12, "float[n, 1] x => y = Squeeze<axes = [1]>(x)", ("n",)),
    (12, "float[n] x => y = Unsqueeze<axes = [1]>(x)", ("n", 1)),
    (12, "float[n, 4] x => y = ReduceSum<axes = [1]>(x)", ("n", 1)),
    (17, "float[n, 4] x => y = ReduceMean<axes = [1], keepdims = 0>(x)", ("n",)),
    (9, "float[n, 4] x => y = Slice<starts = [1], ends = [3], axes = [1]>(x)", ("n", 2)),
    (9, "float[n, 4] x => y = Pad<pads = [0, 1, 0, 2]>(x)", ("n", 7)),
    (12, "float[n, 4] x => y, z = Split<axis = 1, split = [1, 3]>(x)", ("n", 1)),
    (12, "float[n, 4] x => y, z = Split<axis = 1>(x)", ("n", 2)),
    (9, "float[n, 9] x => y, z = TopK<k = 2>(x)", ("n", 2)),
    (6, "float[n, 9] x, float[9] b => y = Add<broadcast = 1>(x, b)", ("n", 9)),
    (4, "float[n, 8] x => y = Reshape<shape = [-1, 4]>(x)", ("2*n", 4)),
    (8, "float[n, 1, h, 8] x => y = Upsample<scales = [1.0, 1.0, 2.0, 2.0]>(x)", ("n", 1, "2*h", 16)),
]


@pytest.mark.parametrize(("opset", "text", "expected"), OLD, ids=[f"{text} @{opset}" for opset, text, _ in OLD])
def test_shape_in_an_older_opset(opset, text, expected):
    assert shape(text, opset=opset) == expected


MALFORMED = [
    "float[n, 3] x => y = Transpose<perm = [5, 6]>(x)",
    "float[n, 3] x => y = Concat<axis = 7>(x, x)",
    'float[n, 3] x => y = Flatten<axis = "two">(x)',
    "float[n, 3] x => y = Conv(x)",
    "float[n, 3] x => y = MaxPool(x)",
    "float[n, 3] x => s = Constant<value_ints = [1, 2, 3]>() y = Tile(x, s)",
    "float[n, 3] x => y = Cast(x)",
    "float[n, 3] x => y = Reshape(x)",
    "float[n, 3] x => y = Add()",
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_a_node_that_contradicts_itself_raises_nothing(text):
    found = shape(text)
    assert found is None or None in found
