"""Which operators ONNX Runtime's providers have kernels for, and in which floating dtypes they compute.

A line names operators that share a set of dtypes: `h` float16, `b` bfloat16, `f` float, `d` double, `-` none of these:
the operator works on integers, strings or sequences. The dtypes are those of the newest kernel of an operator, and
concern the data that it computes with, not what it takes beside that. ai.onnx operators that are functions of others
and have no kernel of their own are not listed: the runtime takes them apart.

CPU: the kernels of ONNX Runtime 1.31, the oldest that we run with, as it lists them itself: later ones have more.
CUDA: the table of kernels in its documentation.
"""

from __future__ import annotations

from collections.abc import Mapping

Kernels = Mapping[str, frozenset[str]]
"""Operator ("Add", "com.microsoft::Gelu") to the names of the floating dtypes it computes in."""

LETTERS = {"h": "float16", "b": "bfloat16", "f": "float", "d": "double"}


def kernels(text: str, domain: str = "") -> dict[str, frozenset[str]]:
    """The table that a text spells, a set of dtypes and the operators that have it on each line."""
    table: dict[str, frozenset[str]] = {}
    for line in text.strip().splitlines():
        letters, *operators = line.split()
        dtypes = frozenset(LETTERS[letter] for letter in letters if letter != "-")
        table |= {f"{domain}::{name}" if domain else name: dtypes for name in operators}
    return table


CPU = {
    **kernels("""
hbfd BitCast Cast Compress Concat ConstantOfShape DynamicSlice Flatten Gather GatherElements GatherND Identity If
hbfd IsInf IsNaN LayerNormalization Loop Optional OptionalGetElement OptionalHasElement RandomNormalLike
hbfd RandomUniformLike Reshape ReverseSequence Scan Scatter ScatterElements ScatterND SequenceAt SequenceConstruct
hbfd Shape Shrink Sign SimplifiedLayerNormalization Slice Split Squeeze TensorScatter Transpose Unsqueeze
hfd Clip Expand Max Min Mod RMSNormalization Round SplitToSequence
fd Abs Add AffineGrid ArgMax ArgMin BatchNormalization BlackmanWindow Ceil Cos CumProd CumSum DFT DeformConv
fd DepthToSpace Div Dropout Einsum Equal Exp EyeLike Floor GRU Gemm Greater GreaterOrEqual GridSample HammingWindow
fd HannWindow LSTM Less LessOrEqual Log LogSoftmax LpNormalization MatMul MaxPool MelWeightMatrix Mul Neg Pad Pow
fd RandomNormal RandomUniform Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
fd ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu RoiAlign STFT Sigmoid Sin Size Softmax SpaceToDepth Sqrt Sub
fd Sum Tanh Tile TopK Trilu Unique Where
hf Attention DequantizeLinear QuantizeLinear RotaryEmbedding
f Acos Acosh Affine Asin Asinh Atan Atanh AveragePool Celu Col2Im Conv ConvTranspose Cosh Crop Det Elu Erf Gelu
f GlobalAveragePool GlobalLpPool GlobalMaxPool HardSigmoid Hardmax ImageScaler InstanceNormalization LRN LeakyRelu
f LpPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization Multinomial NonZero OneHot PRelu ParametricSoftplus
f QLinearMatMul RNN Resize Scale ScaledTanh Selu Sinh Softplus Softsign Tan TfIdfVectorizer ThresholdedRelu Upsample
- And BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor ConcatFromSequence ConvInteger DynamicQuantizeLinear
- MatMulInteger NonMaxSuppression Not Or QLinearConv RegexFullMatch SequenceEmpty SequenceErase SequenceInsert
- SequenceLength StringConcat StringNormalizer StringSplit Xor
"""),
    **kernels(
        """
fd ArrayFeatureExtractor DictVectorizer FeatureVectorizer LabelEncoder LinearClassifier Normalizer OneHotEncoder
fd SVMClassifier Scaler TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor
f Binarizer CastMap Imputer LinearRegressor SVMRegressor
- CategoryMapper ZipMap
""",
        "ai.onnx.ml",
    ),
    **kernels(
        """
hbfd ExpandDims GatherND SkipLayerNormalization SkipSimplifiedLayerNormalization UnfoldTensor
hbf BranchwiseRMSNorm HyperConnectionPostMix HyperConnectionPreMix ScaledSiLU
hfd Inverse
fd AttnLSTM CDist FusedMatMul MurmurHash3 Range SparseToDenseMatMul Trilu
hf EngramGate GatedAdd GatedRMSNorm GatherBlockQuantized GroupQueryAttention LinearAttentionGate MRotaryEmbedding
hf MatMulNBits QMoE RotaryEmbedding SparseAttention
f Attention BeamSearch BiasGelu CausalConvWithState ConvTransposeWithDynamicPads CropAndResize
f DecoderMaskedMultiHeadAttention DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul DynamicTimeWarping
f EmbedLayerNormalization FastGelu FusedConv FusedGemm Gelu GreedySearch GridSample LinearAttention MatMulBnb4
f MatMulFpQ4 MatMulIntegerToFloat MaxpoolWithMask MoE MultiHeadAttention NGramRepeatBlock Pad QAttention
f QEmbedLayerNormalization QGemm QuantizeLinear QuickGelu SampleOp Sampling TransposeMatMul Unique WhisperBeamSearch
f WordConvEmbedding
- BifurcationDetector MatMulInteger16 NGramHashMapping NhwcMaxPool QLinearAdd QLinearAveragePool QLinearConcat
- QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere
- Tokenizer VarlenNGramHashMapping
""",
        "com.microsoft",
    ),
}

CUDA = {
    **kernels("""
hbfd Abs Add AveragePool Cast Compress Concat ConcatFromSequence ConstantOfShape Conv Cos DeformConv Div Dropout
hbfd DynamicSlice Erf Exp Expand Flatten Gather GatherElements GatherND Gelu Gemm HardSigmoid HardSwish Identity If
hbfd IsInf IsNaN LayerNormalization Loop MatMul Max Min Mod Mul Neg Pow RMSNormalization RandomNormal RandomNormalLike
hbfd RandomUniform RandomUniformLike ReduceSum Relu Reshape ReverseSequence RoiAlign Scan Scatter ScatterElements
hbfd ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Sigmoid
hbfd Sign SimplifiedLayerNormalization Sin Size Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh Tile
hbfd TopK Transpose Trilu Unsqueeze Where
hbf Attention RotaryEmbedding
hfd Affine ArgMax ArgMin BatchNormalization Ceil Clip ConvTranspose Crop CumSum DepthToSpace Einsum Elu Equal Floor
hfd GRU GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual ImageScaler InstanceNormalization LRN LSTM LeakyRelu
hfd Less LessOrEqual Log LogSoftmax MaxPool PRelu Pad ParametricSoftplus RNN Reciprocal ReduceL1 ReduceL2
hfd ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Resize Round ScaledTanh
hfd Selu Shrink SpaceToDepth ThresholdedRelu Upsample
hf DequantizeLinear LpNormalization NonZero OneHot QuantizeLinear
fd EyeLike Range
f GridSample
- And MatMulInteger Not Or Xor
"""),
    **kernels("fd LabelEncoder", "ai.onnx.ml"),
    **kernels(
        """
hbfd BiasDropout BiasGelu BitmaskBiasDropout BitmaskDropout FastGelu FusedMatMul Gelu QuickGelu TransposeMatMul Trilu
hbfd UnfoldTensor
hbf Attention GatherBlockQuantized GemmFloat8 MatMulBnb4 MatMulNBits MoE MultiHeadAttention RotaryEmbedding
hbf SkipLayerNormalization SkipSimplifiedLayerNormalization
hb GroupQueryAttention MatMulBlockQuantizedFp4Weight MatMulBlockQuantizedFp8Weight PagedAttention QMoE SparseAttention
hfd BiasSoftmax Inverse Irfft Rfft
hf BeamSearch BiasAdd BiasSplitGelu CausalConvWithState ComplexMul ComplexMulConj DecoderAttention
hf DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention DequantizeWithOrder EmbedLayerNormalization
hf GatedRelativePositionBias GreedySearch GroupNorm LinearAttention LongformerAttention NhwcConv PackedAttention
hf PackedMultiHeadAttention QAttention QuantizeWithOrder RelativePositionBias RemovePadding RestorePadding Sampling
hf SkipGroupNorm WhisperBeamSearch
h DequantizeLinear GemmaRotaryEmbedding QuantizeLinear
f ConvTransposeWithDynamicPads DynamicTimeWarping FusedConv GridSample NGramRepeatBlock
- QOrderedAttention QOrderedGelu QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul
""",
        "com.microsoft",
    ),
}
