"""Networks of the usual sizes as PyTorch's older exporter spells them, with seeded numbers for weights.

ResNet-50 (25.6 M parameters), BERT-base (109 M) and GPT-2 (124 M): free batch and sequence, nothing folded.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Tensor = str
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


class Export:
    """Writes down nodes and weights in the order in which a network would be traced."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)

    def __call__(self, op: str, *inputs: Tensor, outputs: int = 1, **attributes: object) -> Tensor:
        name = f"/{op}_{len(self.nodes)}"
        made = [f"{name}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, made, name=name, **attributes))
        return made[0]

    def constant(self, value: object, dtype: type = np.int64) -> Tensor:
        """A `Constant` node, as the exporter makes one for every literal."""
        return self("Constant", value=numpy_helper.from_array(np.asarray(value, dtype)))

    def weight(self, *shape: int, scale: float = 0.02, center: float = 0.0) -> Tensor:
        values = self.rng.standard_normal(shape, np.float32) * np.float32(scale) + np.float32(center)
        return self.held(values)

    def held(self, values: np.ndarray) -> Tensor:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def model(self, inputs: dict[str, tuple[int, list[object]]], outputs: dict[str, list[object]]) -> onnx.ModelProto:
        for tensor, name in zip([node.output[0] for node in self.nodes[-len(outputs) :]], outputs, strict=True):
            self.nodes.append(helper.make_node("Identity", [tensor], [name], name=f"/{name}"))
        given = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
        made = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, "main_graph", given, made, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    # ---- pieces that exporters spell out ----

    def size(self, tensor: Tensor, axis: int) -> Tensor:
        size = self("Gather", self("Shape", tensor), self.constant(axis), axis=0)
        return self("Unsqueeze", size, self.constant([0]))

    def reshaped(self, tensor: Tensor, *shape: Tensor | int) -> Tensor:
        parts = [part if isinstance(part, str) else self.constant([part]) for part in shape]
        return self("Reshape", tensor, self("Concat", *parts, axis=0))

    def linear(self, tensor: Tensor, columns: int, rows: int) -> Tensor:
        turned = self("Transpose", self.weight(rows, columns), perm=[1, 0])
        return self("Add", self.weight(rows), self("MatMul", tensor, turned))

    def layer_norm(self, tensor: Tensor, width: int) -> Tensor:
        centered = self("Sub", tensor, self("ReduceMean", tensor, axes=[-1]))
        square = self("Pow", centered, self.constant(2.0, np.float32))
        variance = self("Add", self("ReduceMean", square, axes=[-1]), self.constant(1e-12, np.float32))
        normal = self("Div", centered, self("Sqrt", variance))
        return self("Add", self("Mul", normal, self.weight(width, center=1.0)), self.weight(width))

    def gelu(self, tensor: Tensor) -> Tensor:
        bell = self("Erf", self("Div", tensor, self.constant(math.sqrt(2), np.float32)))
        half = self("Mul", tensor, self("Add", bell, self.constant(1.0, np.float32)))
        return self("Mul", half, self.constant(0.5, np.float32))

    def gelu_tanh(self, tensor: Tensor) -> Tensor:
        cube = self("Mul", self.constant(0.044715, np.float32), self("Pow", tensor, self.constant(3.0, np.float32)))
        inner = self("Mul", self.constant(math.sqrt(2 / math.pi), np.float32), self("Add", tensor, cube))
        bell = self("Add", self.constant(1.0, np.float32), self("Tanh", inner))
        return self("Mul", self("Mul", self.constant(0.5, np.float32), tensor), bell)

    def heads(self, tensor: Tensor, count: int, width: int, perm: list[int]) -> Tensor:
        split = self.reshaped(tensor, self.size(tensor, 0), self.size(tensor, 1), count, width // count)
        return self("Transpose", split, perm=perm)

    def joined(self, tensor: Tensor, width: int) -> Tensor:
        turned = self("Transpose", tensor, perm=[0, 2, 1, 3])
        return self.reshaped(turned, self.size(turned, 0), self.size(turned, 1), width)


def bert_base(
    layers: int = 12, width: int = 768, heads: int = 12, words: int = 30522, longest: int = 512
) -> onnx.ModelProto:
    """The encoder with its pooler: ids, mask and segments to hidden states and a pooled vector."""
    e = Export()
    mask = e("Unsqueeze", e("Unsqueeze", "attention_mask", e.constant([1])), e.constant([2]))
    hidden_away = e("Sub", e.constant(1.0, np.float32), e("Cast", mask, to=FLOAT))
    bias = e("Mul", hidden_away, e.constant(np.finfo(np.float32).min, np.float32))
    positions = e.held(np.arange(longest, dtype=np.int64)[None])
    position = e("Slice", positions, e.constant([0]), e.size("input_ids", 1), e.constant([1]), e.constant([1]))
    word, segment, place = (e.weight(rows, width) for rows in (words, 2, longest))
    embedded = e("Add", e("Gather", word, "input_ids"), e("Gather", segment, "token_type_ids"))
    state = e.layer_norm(e("Add", embedded, e("Gather", place, position)), width)
    for _ in range(layers):
        query = e.heads(e.linear(state, width, width), heads, width, [0, 2, 1, 3])
        key = e.heads(e.linear(state, width, width), heads, width, [0, 2, 3, 1])
        value = e.heads(e.linear(state, width, width), heads, width, [0, 2, 1, 3])
        scores = e("Div", e("MatMul", query, key), e.constant(math.sqrt(width // heads), np.float32))
        mixed = e("MatMul", e("Softmax", e("Add", scores, bias), axis=-1), value)
        attended = e.linear(e.joined(mixed, width), width, width)
        state = e.layer_norm(e("Add", attended, state), width)
        wide = e.gelu(e.linear(state, width, 4 * width))
        state = e.layer_norm(e("Add", e.linear(wide, 4 * width, width), state), width)
    first = e("Gather", state, e.constant(0), axis=1)
    pooled = e("Gemm", first, e.weight(width, width), e.weight(width), transB=1)
    e("Identity", state)
    e("Tanh", pooled)
    free: list[object] = ["batch", "sequence"]
    inputs = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), (INT64, free))
    return e.model(inputs, {"last_hidden_state": [*free, width], "pooler_output": ["batch", width]})


def gpt2(
    layers: int = 12, width: int = 768, heads: int = 12, words: int = 50257, longest: int = 1024
) -> onnx.ModelProto:
    """The decoder with its language head, without a cache: ids to logits."""
    e = Export()
    length = e("Gather", e("Shape", "input_ids"), e.constant(1), axis=0)
    position = e("Unsqueeze", e("Range", e.constant(0), length, e.constant(1)), e.constant([0]))
    word = e.weight(words, width)
    state = e("Add", e("Gather", word, "input_ids"), e("Gather", e.weight(longest, width), position))
    seen = e.held(np.tril(np.ones((longest, longest), bool))[None, None])
    for _ in range(layers):
        query, key, value = _packed(e, e.layer_norm(state, width), width, heads)
        scores = e("Div", e("MatMul", query, key), e.constant(math.sqrt(width // heads), np.float32))
        rows, columns = e.size(scores, 2), e.size(scores, 3)
        window = e("Slice", seen, e("Sub", columns, rows), columns, e.constant([2]), e.constant([1]))
        window = e("Slice", window, e.constant([0]), columns, e.constant([3]), e.constant([1]))
        scores = e("Where", window, scores, e.constant(np.finfo(np.float32).min, np.float32))
        mixed = e.joined(e("MatMul", e("Softmax", scores, axis=-1), value), width)
        state = e("Add", _convolved(e, mixed, width, width), state)
        wide = e.gelu_tanh(_convolved(e, e.layer_norm(state, width), width, 4 * width))
        state = e("Add", state, _convolved(e, wide, 4 * width, width))
    e("MatMul", e.layer_norm(state, width), e("Transpose", word, perm=[1, 0]))
    return e.model({"input_ids": (INT64, ["batch", "sequence"])}, {"logits": ["batch", "sequence", words]})


def _packed(e: Export, state: Tensor, width: int, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    packed = _convolved(e, state, width, 3 * width)
    first = e("Split", packed, e.constant([width] * 3), axis=2, outputs=3)
    query, key, value = (first[:-1] + str(i) for i in range(3))
    turned = [0, 2, 1, 3]
    return (
        e.heads(query, heads, width, turned),
        e.heads(key, heads, width, [0, 2, 3, 1]),
        e.heads(value, heads, width, turned),
    )


def _convolved(e: Export, tensor: Tensor, columns: int, rows: int) -> Tensor:
    """What GPT-2 calls a convolution: a Gemm on all positions side by side."""
    batch, length = e.size(tensor, 0), e.size(tensor, 1)
    product = e("Gemm", e.reshaped(tensor, -1, columns), e.weight(columns, rows), e.weight(rows))
    return e.reshaped(product, batch, length, rows)


def resnet50(classes: int = 1000) -> onnx.ModelProto:
    """Bottleneck blocks with their normalisations: pictures to logits."""
    e = Export()

    def conv(tensor: Tensor, inward: int, outward: int, size: int, stride: int = 1) -> Tensor:
        weight = e.weight(outward, inward, size, size, scale=math.sqrt(1 / (inward * size * size)))
        pads = [size // 2] * 4
        made = e("Conv", tensor, weight, kernel_shape=[size, size], strides=[stride, stride], pads=pads)
        gamma, variance = (e.held(e.rng.uniform(0.5, 1.0, outward).astype(np.float32)) for _ in range(2))
        return e("BatchNormalization", made, gamma, e.weight(outward), e.weight(outward), variance, epsilon=1e-5)

    state, channels = e("Relu", conv("x", 3, 64, 7, 2)), 64
    state = e("MaxPool", state, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, blocks in enumerate((3, 4, 6, 3)):
        inner = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            made = e("Relu", conv(state, channels, inner, 1))
            made = e("Relu", conv(made, inner, inner, 3, stride))
            made = conv(made, inner, 4 * inner, 1)
            kept = conv(state, channels, 4 * inner, 1, stride) if not block else state
            state, channels = e("Relu", e("Add", made, kept)), 4 * inner
    flat = e("Flatten", e("GlobalAveragePool", state), axis=1)
    e("Gemm", flat, e.weight(classes, channels), e.weight(classes), transB=1)
    return e.model({"x": (FLOAT, ["batch", 3, 224, 224])}, {"logits": ["batch", classes]})


NETWORKS = {"resnet50": resnet50, "bert_base": bert_base, "gpt2": gpt2}


def write(folder: Path) -> list[Path]:
    """All of them as files in `folder`."""
    paths = []
    for name, make in NETWORKS.items():
        paths.append(folder / f"{name}.onnx")
        paths[-1].write_bytes(make().SerializeToString())
    return paths
