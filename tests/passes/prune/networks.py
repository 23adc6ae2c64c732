"""Random networks that combine the operators of the table of ties, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, STEPS = 4, 3
"""Height and width of pictures, and the number of tokens."""
MICROSOFT = "com.microsoft"
WIDTHS = (4, 6, 8, 12)


class Network:
    """A network in the making: `x` is the last tensor, `width` its number of channels."""

    def __init__(self, seed: int, shape: Sequence[int | str], width: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        self.x, self.width = "x", width

    def op(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attrs: object) -> str | list[str]:
        """Add a node; returns its output, or its outputs."""
        names = [f"t{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", domain=domain, **attrs))
        return names[0] if outputs == 1 else names

    def w(self, *shape: int, values: object = None) -> str:
        """Add a weight: random, or these values."""
        array = self.rng.standard_normal(shape).astype("f4") * 0.5 if values is None else np.asarray(values)
        self.weights.append(numpy_helper.from_array(array, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def some(self) -> int:
        """A width."""
        return int(self.rng.choice(WIDTHS))

    def model(self, output: str, shape: Sequence[int | str]) -> onnx.ModelProto:
        """The network, returning this tensor."""
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "random", [self.input], [made], self.weights)
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


Layer = Callable[[Network], None]


def conv(net: Network, wide: int = 0) -> None:
    wide = wide or net.some()
    net.x = net.op("Conv", net.x, net.w(wide, net.width, 3, 3), net.w(wide), pads=[1] * 4)
    net.width = wide


def grouped(net: Network) -> None:
    wide = net.some()
    net.x = net.op("Conv", net.x, net.w(wide, net.width // 2, 1, 1), group=2)
    net.width = wide


def depthwise(net: Network) -> None:
    net.x = net.op("Conv", net.x, net.w(2 * net.width, 1, 3, 3), net.w(2 * net.width), group=net.width, pads=[1] * 4)
    net.width *= 2
    conv(net)


def transposed(net: Network) -> None:
    wide, groups = net.some(), int(net.rng.choice([1, 2, net.width]))
    per_group = wide // groups if groups < net.width else 2
    net.x = net.op("ConvTranspose", net.x, net.w(net.width, per_group, 1, 1), net.w(per_group * groups), group=groups)
    net.width = per_group * groups
    conv(net)


def batch_norm(net: Network) -> None:
    c = net.width
    spread = net.w(values=net.rng.uniform(0.5, 2, c).astype("f4"))
    net.x = net.op("BatchNormalization", net.x, net.w(c), net.w(c), net.w(c), spread)
    net.x = net.op("PRelu", net.x, net.w(c, 1, 1))


def instance_norm(net: Network) -> None:
    net.x = net.op("InstanceNormalization", net.x, net.w(net.width), net.w(net.width))


def group_norm(net: Network) -> None:
    net.x = net.op("GroupNormalization", net.x, net.w(net.width), net.w(net.width), num_groups=2)


def raw_group_norm(net: Network) -> None:
    """As older exporters write it."""
    split = net.op("Reshape", net.x, net.w(values=np.array([0, 2, -1])))
    normal = net.op("InstanceNormalization", split, net.w(2), net.w(2))
    whole = net.op("Reshape", normal, net.op("Shape", net.x))
    net.x = net.op("Add", net.op("Mul", whole, net.w(net.width, 1, 1)), net.w(net.width, 1, 1))


def residual(net: Network) -> None:
    start, wide = net.x, net.width
    conv(net)
    net.x = net.op("Relu", net.x)
    conv(net, wide)
    net.x = net.op("Add", net.x, start)


def dense(net: Network) -> None:
    start, before = net.x, net.width
    conv(net)
    net.x, net.width = net.op("Concat", start, net.op("Sigmoid", net.x), axis=1), before + net.width


def gated(net: Network) -> None:
    wide = net.some()
    conv(net, 2 * wide)
    left, right = net.op("Split", net.x, outputs=2, axis=1, num_outputs=2)
    net.x, net.width = net.op("Mul", left, net.op("Sigmoid", right)), wide


def sliced(net: Network) -> None:
    """A slice, with zeros beside it, and in another order."""
    bounds = [net.w(values=np.array([value])) for value in (1, net.width, 1)]
    part = net.op("Slice", net.x, *bounds)
    padded = net.op("Pad", part, net.w(values=np.array([0, 2, 0, 0, 0, 1, 0, 0])))
    net.width += 2
    net.x = net.op("Gather", padded, net.w(values=net.rng.permutation(net.width)), axis=1)
    conv(net)


def squeezed(net: Network) -> None:
    """Squeeze and excitation."""
    start, wide = net.x, net.width
    net.x = net.op("GlobalAveragePool", net.x)
    net.x, net.width = net.op("HardSwish", net.op("Conv", net.x, net.w(4, wide, 1, 1))), 4
    scale = net.op("HardSigmoid", net.op("Conv", net.x, net.w(wide, 4, 1, 1)))
    net.x, net.width = net.op("Mul", start, scale), wide


def shuffled(net: Network) -> None:
    shape = np.array([0, 2, net.width // 2, SIDE, SIDE])
    split = net.op("Reshape", net.x, net.w(values=shape))
    turned = net.op("Transpose", split, perm=[0, 2, 1, 3, 4])
    net.x = net.op("Reshape", turned, net.w(values=np.array([0, net.width, SIDE, SIDE])))


def interleaved(net: Network) -> None:
    conv(net, 4 * (net.width // 4))
    mode = str(net.rng.choice(["DCR", "CRD"]))
    up = net.op("DepthToSpace", net.x, blocksize=2, mode=mode)
    net.x = net.op("SpaceToDepth", up, blocksize=2)
    conv(net)


def resized(net: Network) -> None:
    pooled = net.op("MaxPool", net.x, kernel_shape=[2, 2], strides=[2, 2])
    scales = net.w(values=np.array([1, 1, 2, 2], "f4"))
    net.x = net.op("LeakyRelu", net.op("Resize", pooled, "", scales))


def last(net: Network) -> None:
    """Channels last, and back."""
    turned = net.op("Transpose", net.x, perm=[0, 2, 3, 1])
    wide = net.some()
    turned = net.op("Add", net.op("MatMul", turned, net.w(net.width, wide)), net.w(wide))
    net.x, net.width = net.op("Transpose", turned, perm=[0, 3, 1, 2]), wide


ACTIVATIONS = (
    "Abs",
    "Celu",
    "Cos",
    "Elu",
    "Erf",
    "Mish",
    "Neg",
    "Selu",
    "Sin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Identity",
)
PAIRS = ("Add", "Sub", "Mul", "Max", "Min", "Mean", "Sum", "PRelu")
"""Operators of an activation and a vector along the channels."""


def pointwise(net: Network) -> None:
    """Some activations, and arithmetic with constants and with itself."""
    start = net.x
    for op in net.rng.choice(ACTIVATIONS, 2):
        net.x = net.op(str(op), net.x)
    for op in net.rng.choice(PAIRS, 2):
        net.x = net.op(str(op), net.x, net.w(net.width, 1, 1))
    above = net.op("Greater", net.x, net.w(net.width, 1, 1))
    net.x = net.op("Where", above, net.x, start)
    net.x = net.op("Clip", net.x, net.w(values=np.float32(-3)), net.w(values=np.float32(3)))


def along_pictures(net: Network) -> None:
    """What works along height and width, whatever the channel."""
    start = net.x
    pooled = net.op("AveragePool", net.x, kernel_shape=[3, 3], pads=[1] * 4)
    summed = net.op("CumSum", pooled, net.w(values=np.array(3)))
    largest = net.op("TopK", net.op("LogSoftmax", summed, axis=2), net.w(values=np.array([SIDE])), outputs=2, axis=-1)[
        0
    ]
    lower = net.op("Trilu", largest)
    mean = net.op("ReduceMean", lower, net.w(values=np.array([2, 3])))
    peak = net.op("ReduceMax", start, net.w(values=np.array([2, 3])), keepdims=0)
    wide = net.op("Unsqueeze", net.op("Unsqueeze", peak, net.w(values=np.array([2]))), net.w(values=np.array([3])))
    tiled = net.op("Tile", wide, net.w(values=np.array([1, 1, SIDE, SIDE])))
    net.x = net.op("Add", net.op("Sub", lower, mean), tiled)


def filled(net: Network) -> None:
    """Zeros of the size of what they are added to, as exporters write initial states."""
    conv(net)
    size = net.w(values=np.array([net.width, 1, 1]))
    net.x = net.op("Add", net.x, net.op("ConstantOfShape", size))
    one = net.op("Expand", net.w(values=np.float32(2)), size)
    net.x = net.op("Mul", net.x, one)


FUNCTIONS = (
    *(
        "Acos",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Ceil",
        "Cos",
        "Cosh",
        "Dropout",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "Log",
        "Reciprocal",
    ),
    *("Round", "Shrink", "Sign", "Sinh", "Softplus", "Sqrt", "Tan", "ThresholdedRelu"),
)
"""Of a single number between 1/4 and 3/4."""
POOLS = (
    ("GlobalMaxPool", {}),
    ("LpPool", {"kernel_shape": [SIDE, SIDE]}),
)
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Min", "Prod", "Sum", "SumSquare")


def functions(net: Network) -> None:
    """Every function of a single number that is not an activation."""
    half, quarter, one = (net.w(values=np.float32(value)) for value in (0.5, 0.25, 1))
    small = net.op("Add", net.op("Mul", net.op("Sigmoid", net.x), half), quarter)
    for op in FUNCTIONS:
        net.x = net.op("Add", net.x, net.op(op, small))
    net.x = net.op("Add", net.x, net.op("Acosh", net.op("Add", small, one)))
    net.x = net.op("Div", net.x, net.op("Pow", net.op("CastLike", small, net.x), half))
    net.x = net.op("Add", net.x, net.op("Gelu", net.x, domain=MICROSOFT))


def logic(net: Network) -> None:
    """Comparisons, and what is made of them."""
    orders = ("Less", "LessOrEqual", "GreaterOrEqual", "Equal")
    a, b, c, d = (net.op(op, net.x, net.w(net.width, 1, 1)) for op in orders)
    strange = net.op("Or", net.op("IsNaN", net.x), net.op("IsInf", net.x))
    chosen = net.op("Xor", net.op("And", a, net.op("Not", b)), net.op("Or", c, net.op("And", d, strange)))
    net.x = net.op("Where", chosen, net.x, net.w(net.width, 1, 1))


def integers(net: Network) -> None:
    """Arithmetic with bits."""
    wide = (net.width, 1, 1)
    bits = [net.w(values=net.rng.integers(0, 16, wide).astype(np.uint32)) for _ in range(5)]
    held = net.op("Cast", net.op("Abs", net.op("Mul", net.x, net.w(values=np.float32(8)))), to=TensorProto.UINT32)
    held = net.op("BitShift", held, net.w(values=np.full(wide, 2, np.uint32)), direction="LEFT")
    for op, other in zip(("BitwiseAnd", "BitwiseOr", "BitwiseXor"), bits, strict=False):
        held = net.op(op, held, other)
    held = net.op("Mod", net.op("BitwiseNot", held), net.w(values=np.full(wide, 7, np.uint32)))
    net.x = net.op("Add", net.x, net.op("Cast", held, to=TensorProto.FLOAT))


def reduced(net: Network) -> None:
    """One number for each channel, in every way."""
    positive = net.op("Exp", net.op("Tanh", net.x))
    for op in REDUCTIONS:
        net.x = net.op("Add", net.x, net.op("Tanh", net.op(f"Reduce{op}", positive, net.w(values=np.array([2, 3])))))
    for op, attrs in POOLS:
        net.x = net.op("Add", net.x, net.op("Tanh", net.op(op, positive, **attrs)))
    whole = net.op(
        "Squeeze", net.op("ReduceSum", net.x, net.w(values=np.array([2, 3]))), net.w(values=np.array([2, 3]))
    )
    net.x = net.op("Sub", net.x, net.op("Unsqueeze", whole, net.w(values=np.array([2, 3]))))


def largest(net: Network) -> None:
    """What is divided by a spread, which may be none; where the largest and the smallest number of a row are."""
    normal = net.op("MeanVarianceNormalization", net.x, axes=[2, 3])
    net.x = net.op("Add", net.op("LpNormalization", normal, axis=2), net.op("Hardmax", net.x, axis=3))
    for op in ("ArgMax", "ArgMin"):
        net.x = net.op("Add", net.x, net.op("Cast", net.op(op, net.x, axis=3), to=TensorProto.FLOAT))


PICTURES: tuple[Layer, ...] = (
    *(pointwise, along_pictures, filled, functions, reduced),
    *(conv, grouped, depthwise, transposed, batch_norm, instance_norm, group_norm, raw_group_norm, residual, dense),
    *(gated, sliced, squeezed, shuffled, interleaved, resized, last),
)
JUMPING: tuple[Layer, ...] = (logic, integers, largest)
"""As PICTURES, but a rounding error may become a large one: not to be drawn."""


def linear(net: Network, wide: int = 0) -> None:
    wide = wide or net.some()
    net.x = net.op("Add", net.op("MatMul", net.x, net.w(net.width, wide)), net.w(wide))
    net.width = wide


def around(net: Network, inner: Layer) -> None:
    """A layer in a residual block, which has the width of its input."""
    start, wide = net.x, net.width
    net.x = net.op("LayerNormalization", net.x, net.w(wide), net.w(wide))
    inner(net)
    linear(net, wide)
    net.x = net.op("Add", start, net.x)


def feed_forward(net: Network) -> None:
    def inner(net: Network) -> None:
        linear(net, 8)
        net.x = net.op("Gelu", net.x)

    around(net, inner)


def gated_feed_forward(net: Network) -> None:
    def inner(net: Network) -> None:
        gate = net.op("MatMul", net.x, net.w(net.width, 8))
        value = net.op("Einsum", net.x, net.w(net.width, 8), equation="bsd,df->bsf")
        net.x, net.width = net.op("Mul", net.op("Mul", gate, net.op("Sigmoid", gate)), value), 8

    around(net, inner)


def heads_apart(net: Network, count: int, deep: int) -> str:
    split = net.op("Reshape", net.x, net.w(values=np.array([0, 0, count, deep])))
    return net.op("Transpose", split, perm=[0, 2, 1, 3])


def attention(net: Network) -> None:
    """As exporters write it, with queries that may share keys."""
    count, shared, deep = 4, int(net.rng.choice([2, 4])), 2

    def inner(net: Network) -> None:
        start, wide, parts = net.x, net.width, []
        for heads in (count, shared, shared):
            net.x, net.width = start, wide
            linear(net, heads * deep)
            part = heads_apart(net, heads, deep)
            if heads < count:
                apart = net.op("Unsqueeze", part, net.w(values=np.array([2])))
                many = net.op("Expand", apart, net.w(values=np.array([1, 1, count // heads, 1, 1])))
                part = net.op("Reshape", many, net.w(values=np.array([0, count, -1, deep])))
            parts.append(part)
        scores = net.op("MatMul", parts[0], net.op("Transpose", parts[1], perm=[0, 1, 3, 2]))
        mixed = net.op("MatMul", net.op("Softmax", net.op("Add", scores, net.w(count, 1, 1))), parts[2])
        beside = net.op("Transpose", mixed, perm=[0, 2, 1, 3])
        net.x = net.op("Reshape", beside, net.w(values=np.array([0, 0, count * deep])))
        net.width = count * deep

    around(net, inner)


def einsum_attention(net: Network) -> None:
    """Heads that are never moved beside the batch."""
    count, deep = 2, 6

    def inner(net: Network) -> None:
        start, wide, parts = net.x, net.width, []
        for _ in range(3):
            net.x, net.width = start, wide
            linear(net, count * deep)
            parts.append(net.op("Reshape", net.x, net.w(values=np.array([0, 0, count, deep]))))
        scores = net.op("Softmax", net.op("Einsum", parts[0], parts[1], equation="bqhd,bkhd->bhqk"))
        mixed = net.op("Einsum", scores, parts[2], equation="bhqk,bkhd->bqhd")
        net.x, net.width = net.op("Reshape", mixed, net.w(values=np.array([0, 0, count * deep]))), count * deep

    around(net, inner)


def packed_attention(net: Network) -> None:
    """Queries, keys and values of one product."""
    count, deep = 3, 2

    def inner(net: Network) -> None:
        linear(net, 3 * count * deep)
        split = net.op("Reshape", net.x, net.w(values=np.array([0, 0, 3, count, deep])))
        turned = net.op("Transpose", split, perm=[2, 0, 3, 1, 4])
        q, k, v = (net.op("Gather", turned, net.w(values=np.array(index)), axis=0) for index in range(3))
        scores = net.op("Softmax", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])))
        beside = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
        net.x = net.op("Reshape", beside, net.w(values=np.array([0, 0, count * deep])))
        net.width = count * deep

    around(net, inner)


def fused_attention(net: Network) -> None:
    def inner(net: Network) -> None:
        start, wide, parts = net.x, net.width, []
        for _ in range(3):
            net.x, net.width = start, wide
            linear(net, 8)
            parts.append(net.x)
        bias = net.w(24)
        net.x, net.width = net.op("MultiHeadAttention", *parts, bias, domain=MICROSOFT, num_heads=4), 8

    around(net, inner)


def wholly_fused_attention(net: Network) -> None:
    def inner(net: Network) -> None:
        weights = net.w(net.width, 24), net.w(24)
        net.x, net.width = net.op("Attention", net.x, *weights, domain=MICROSOFT, num_heads=4), 8

    around(net, inner)


def shared_attention(net: Network) -> None:
    """Fused, with queries that share keys and are turned by their place; either domain's."""
    count, shared, deep = 4, 2, 4
    angles = [net.w(values=net.rng.uniform(-1, 1, (STEPS, deep // 2)).astype("f4")) for _ in range(2)]

    def inner(net: Network) -> None:
        start, wide, parts = net.x, net.width, []
        for place, heads in enumerate((count, shared, shared)):
            net.x, net.width = start, wide
            linear(net, heads * deep)
            apart = heads_apart(net, heads, deep)
            if place < 2:
                batch = net.op("Shape", apart, start=0, end=1)
                steps = net.w(values=np.arange(STEPS)[None])
                places = net.op("Expand", steps, net.op("Concat", batch, net.w(values=np.array([STEPS])), axis=0))
                apart = net.op("RotaryEmbedding", apart, *angles, places)
            parts.append(apart)
        mixed = net.op("Attention", *parts)
        beside = net.op("Transpose", mixed, perm=[0, 2, 1, 3])
        net.x, net.width = net.op("Reshape", beside, net.w(values=np.array([0, 0, count * deep]))), count * deep

    around(net, inner)


def packed_shared_attention(net: Network) -> None:
    count, shared, deep = 4, 2, 2

    def inner(net: Network) -> None:
        start, wide, parts = net.x, net.width, []
        for heads in (count, shared, shared):
            net.x, net.width = start, wide
            linear(net, heads * deep)
            parts.append(net.x)
        net.x, net.width = net.op("Attention", *parts, q_num_heads=count, kv_num_heads=shared), count * deep

    around(net, inner)


def fused_norms(net: Network) -> None:
    """Of ONNX Runtime, with what they take in besides, around a bias that is part of an activation."""
    start, wide = net.x, net.width
    net.x, net.width = net.op("BiasGelu", net.op("MatMul", net.x, net.w(wide, 8)), net.w(8), domain=MICROSOFT), 8
    net.x = net.op("FastGelu", net.op("QuickGelu", net.x, domain=MICROSOFT), net.w(8), domain=MICROSOFT)
    net.x = net.op("FusedMatMul", net.x, net.w(6, 8), domain=MICROSOFT, transB=1)
    net.width = 6
    linear(net, wide)
    net.x = net.op("SkipLayerNormalization", net.x, start, net.w(wide), net.w(wide), net.w(wide), domain=MICROSOFT)
    net.x = net.op("RMSNormalization", net.x, net.w(wide))
    net.x = net.op("SkipSimplifiedLayerNormalization", net.x, start, net.w(wide), domain=MICROSOFT)


def sequence(net: Network) -> None:
    """Parts that are taken out of a sequence."""
    linear(net, 12)
    held = net.op("SplitToSequence", net.x, net.w(values=np.array(4)), axis=2)
    first, last = (net.op("SequenceAt", held, net.w(values=np.array(place))) for place in (0, -1))
    net.x, net.width = net.op("Mul", first, last), 4
    linear(net)


def recurrent(net: Network) -> None:
    op, gates = [("LSTM", 4), ("GRU", 3), ("RNN", 1)][int(net.rng.integers(3))]
    both, units = int(net.rng.integers(1, 3)), 5
    weights = net.w(both, gates * units, net.width), net.w(both, gates * units, units), net.w(both, 2 * gates * units)
    turned = net.op("Transpose", net.x, perm=[1, 0, 2])
    direction = "bidirectional" if both > 1 else "forward"
    y = net.op(op, turned, *weights, hidden_size=units, direction=direction)
    beside = net.op("Transpose", y, perm=[2, 0, 1, 3])
    net.x, net.width = net.op("Reshape", beside, net.w(values=np.array([0, 0, both * units]))), both * units


def rms_norm(net: Network) -> None:
    power = net.op("ReduceMean", net.op("Mul", net.x, net.x), net.w(values=np.array([-1])))
    linear(net)
    net.x = net.op(
        "Mul", net.x, net.op("Reciprocal", net.op("Sqrt", net.op("Add", power, net.w(values=np.float32(1)))))
    )


TOKENS: tuple[Layer, ...] = (
    *(linear, feed_forward, gated_feed_forward, attention, packed_attention, fused_attention, wholly_fused_attention),
    *(einsum_attention, recurrent, rms_norm, shared_attention, packed_shared_attention, fused_norms, sequence),
)


def pictures(seed: int, layers: Sequence[Layer]) -> onnx.ModelProto:
    """A network on pictures, with an output of the last layer's own width behind a flattened product."""
    net = Network(seed, ["n", 4, SIDE, SIDE], 4)
    for layer in (conv, *layers, conv):
        layer(net)
    flat = net.op("Flatten", net.op("Relu", net.x))
    hidden = net.op("Gemm", flat, net.w(6, net.width * SIDE * SIDE), net.w(6), transB=1)
    return net.model(net.op("MatMul", net.op("Tanh", hidden), net.w(6, 3)), ["n", 3])


def tokens(seed: int, layers: Sequence[Layer]) -> onnx.ModelProto:
    """A network on sequences."""
    net = Network(seed, ["n", STEPS, 4], 4)
    for layer in (linear, *layers, linear):
        layer(net)
    linear(net, 3)
    return net.model(net.x, ["n", STEPS, 3])
