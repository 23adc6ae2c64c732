"""Types of operators that only ONNX Runtime knows, against what it computes."""

import numpy as np
import onnxruntime
import pytest

from graphopt.analysis import Shapes
from graphopt.ir.reader import load
from tests.analysis import claims
from tests.support import proto

CASES = {
    "Gelu": "float[n, t] x => y = com.microsoft.Gelu(x)",
    "FastGelu": "float[n, t] x, float[t] b => y = com.microsoft.FastGelu(x, b)",
    "BiasGelu": "float[n, t] x, float[t] b => y = com.microsoft.BiasGelu(x, b)",
    "QuickGelu": "float[n, t] x => y = com.microsoft.QuickGelu(x)",
    "FusedMatMul": "float[n, 8, t] x, float[n, k, 8] z => y = com.microsoft.FusedMatMul<transA = 1, transB = 1>(x, z)",
    "FusedGemm": 'float[8, n] x, float[8, k] z => y = com.microsoft.FusedGemm<transA = 1, activation = "Relu">(x, z)',
    "FusedConv": """float[n, 3, h, w] x, float[4, 3, 3, 3] k =>
        y = com.microsoft.FusedConv<activation = "Relu", strides = [2, 2]>(x, k)""",
    "SkipLayerNormalization": """float[n, t, 8] x, float[8] g =>
        y, m, v, s = com.microsoft.SkipLayerNormalization(x, x, g, g)""",
    "SimplifiedLayerNormalization": "float[n, t, 8] x, float[8] g => y = SimplifiedLayerNormalization(x, g)",
    "EmbedLayerNormalization": """int32[n, t] i, float[9, 8] w, float[40, 8] p, float[8] g =>
        y, m = com.microsoft.EmbedLayerNormalization(i, , w, p, , g, g)""",
    "Attention": """float[n, t, 8] x, float[8, 24] w, float[24] b =>
        y = com.microsoft.Attention<num_heads = 2>(x, w, b)""",
    "MultiHeadAttention": """float[n, t, 8] x, float[n, k, 8] z, float[n, k, 12] v =>
        y = com.microsoft.MultiHeadAttention<num_heads = 2>(x, z, v)""",
    "RotaryEmbedding": """float[n, t, 8] x, int64[1] i, float[40, 2] c =>
        y = com.microsoft.RotaryEmbedding<num_heads = 2>(x, i, c, c)""",
    "DynamicQuantizeMatMul": """float[n, t] x, uint8[t, k] w, float[1] s =>
        y = com.microsoft.DynamicQuantizeMatMul(x, w, s)""",
    "MatMulIntegerToFloat": """uint8[n, t] x, uint8[t, k] w, float[1] s =>
        y = com.microsoft.MatMulIntegerToFloat(x, w, s, s)""",
    "MatMulNBits": """float[n, t, 16] x, uint8[5, 1, 8] q, float[5] s =>
        y = com.microsoft.MatMulNBits<K = 16, N = 5, bits = 4, block_size = 16>(x, q, s)""",
    "QLinearAdd": """uint8[n, t] x, uint8[t] b, float s, uint8 z =>
        y = com.microsoft.QLinearAdd(x, s, z, b, s, z, s, z)""",
    "QLinearSigmoid": "uint8[n, t] x, float s, uint8 z => y = com.microsoft.QLinearSigmoid(x, s, z, s, z)",
    "QLinearConcat": """uint8[n, t] x, uint8[k, t] b, float s, uint8 z =>
        y = com.microsoft.QLinearConcat<axis = 0>(s, z, x, s, z, b, s, z)""",
    "QLinearGlobalAveragePool": """uint8[n, 3, h, w] x, float s, uint8 z =>
        y = com.microsoft.QLinearGlobalAveragePool(x, s, z, s, z)""",
    "QLinearAveragePool": """uint8[n, 3, h, w] x, float s, uint8 z =>
        y = com.microsoft.QLinearAveragePool<kernel_shape = [2, 2]>(x, s, z, s, z)""",
    "QGemm to float": """uint8[n, 8] x, uint8[k, 8] w, float s, uint8 z =>
        y = com.microsoft.QGemm<transB = 1>(x, s, z, w, s, z)""",
    "QGemm": """uint8[n, 8] x, uint8[k, 8] w, float s, uint8 z =>
        y = com.microsoft.QGemm<transB = 1>(x, s, z, w, s, z, , s, z)""",
}
SIZES = {"n": 2, "t": 8, "k": 4, "h": 6, "w": 7}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_claims_hold(text):
    inputs, nodes = text.split("=>")
    header = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>'
    message = proto(f"{header} g ({inputs}) => (float y) {{ {nodes} }}")
    message.graph.output[0].ClearField("type")
    model = load(message)
    shapes = Shapes(model)
    rng = np.random.default_rng(0)
    feeds = {t.name: rng.integers(0, 3, Shapes(model, SIZES).static(t)).astype(t.dtype) for t in model.graph.inputs}
    session = onnxruntime.InferenceSession(claims.intermediates(message).SerializeToString())
    outputs = [t for t in model.graph.nodes[0].outputs if t.name in {o.name for o in session.get_outputs()}]
    assert claims.fully_known(shapes, outputs[0])
    for tensor, actual in zip(outputs, session.run([t.name for t in outputs], feeds), strict=True):
        assert not list(claims.contradictions(shapes, tensor, actual, SIZES))
