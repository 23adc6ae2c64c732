"""Networks of any depth as exporters spell them: NHWC exports of Keras, towers in parallel branches, quantised ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass
class Network:
    """A graph under construction, of seeded weights."""

    opset: int = 17
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def weight(self, *shape: int, scale: float | None = None) -> str:
        """Normal numbers, by default so that products of unit vectors are about units."""
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        array = self.rng.standard_normal(shape) * (scale if scale is not None else fan**-0.5)
        return self.hold(array.astype(np.float32))

    def positive(self, *shape: int) -> str:
        """Numbers between a half and one and a half."""
        return self.hold(self.rng.uniform(0.5, 1.5, shape).astype(np.float32))

    def hold(self, array: np.ndarray) -> str:
        """An initializer."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def call(self, op: str, *inputs: str, outputs: int = 1, **attrs: Any) -> Any:
        """A node; the name of its output, or of all of them."""
        names = [f"{op.lower()}{len(self.nodes)}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"n{len(self.nodes)}", **attrs))
        return names[0] if outputs == 1 else names

    def normalised(self, x: str, channels: int) -> str:
        """BatchNormalization with parameters of its own."""
        parts = (self.positive(channels), self.weight(channels, scale=0.1), self.weight(channels, scale=0.1))
        return self.call("BatchNormalization", x, *parts, self.positive(channels))

    def convolved(self, x: str, source: int, target: int, kernel: int = 3, stride: int = 1, group: int = 1) -> str:
        """A convolution without bias that keeps the picture's size but for its stride."""
        w = self.weight(target, source // group, kernel, kernel)
        pad = kernel // 2
        attrs = {"group": group, "pads": [pad] * 4, "strides": [stride, stride], "kernel_shape": [kernel, kernel]}
        return self.call("Conv", x, w, **attrs)

    def model(self, result: str, x: Sequence[Any], y: Sequence[Any] | None = None) -> onnx.ModelProto:
        """The finished model with the input `x` and one output."""
        self.nodes.append(helper.make_node("Identity", [result], ["y"], name="result"))
        graph = helper.make_graph(
            self.nodes, "generated",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, list(x))],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, y)],
            self.weights,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def _nhwc(net: Network, x: str, *args: int, **named: int) -> str:
    """A convolution as tf2onnx writes it: the picture is turned there and back."""
    inside = net.convolved(net.call("Transpose", x, perm=TO_NCHW), *args, **named)
    return net.call("Transpose", inside, perm=TO_NHWC)


def _bias(net: Network, x: str, channels: int) -> str:
    return net.call("Add", x, net.weight(channels, scale=0.1))


def _squeeze_excite(net: Network, x: str, channels: int) -> str:
    """Channels weighed by what the whole picture looks like, on NHWC."""
    mean = net.call("ReduceMean", x, axes=[1, 2], keepdims=1)
    hidden = net.call("Relu", _bias(net, _nhwc(net, mean, channels, channels // 2, 1), channels // 2))
    gate = net.call("Sigmoid", _bias(net, _nhwc(net, hidden, channels // 2, channels, 1), channels))
    return net.call("Mul", x, gate)


def keras_mobilenet(blocks: int = 4, channels: int = 8, *, quantised: bool = False) -> onnx.ModelProto:
    """Inverted residuals with squeeze and excite, NHWC, as tf2onnx exports Keras: every Conv between two Transposes."""
    net, wide = Network(), 2 * channels
    x = net.call("Clip", _bias(net, _nhwc(net, "x", 3, channels, stride=2), channels), *_six(net))
    for block in range(blocks):
        y = net.call("Clip", _bias(net, _nhwc(net, x, channels, wide, 1), wide), *_six(net))
        y = _fake(net, y) if quantised else y
        y = net.call("Clip", _bias(net, _nhwc(net, y, wide, wide, group=wide), wide), *_six(net))
        y = _squeeze_excite(net, y, wide) if block % 2 else y
        y = _bias(net, _nhwc(net, y, wide, channels, 1), channels)
        x = net.call("Add", x, _fake(net, y) if quantised else y)
    flat = net.call("ReduceMean", x, axes=[1, 2], keepdims=0)
    return net.model(net.call("MatMul", flat, net.weight(channels, 5)), ["N", 16, 16, 3], ["N", 5])


def _six(net: Network) -> tuple[str, str]:
    return net.hold(np.float32(0)), net.hold(np.float32(6))


def _fake(net: Network, x: str) -> str:
    """QuantizeLinear and DequantizeLinear."""
    scale, zero = net.hold(np.float32(0.05)), net.hold(np.uint8(128))
    return net.call("DequantizeLinear", net.call("QuantizeLinear", x, scale, zero), scale, zero)


def keras_residual(blocks: int = 4, channels: int = 8) -> onnx.ModelProto:
    """Residual blocks with BatchNormalization, Pad, Concat and Resize, NHWC, as tf2onnx exports Keras."""
    net = Network()
    x = net.call("Relu", _normal(net, _nhwc(net, "x", 3, channels), channels))
    for _ in range(blocks):
        y = net.call("Relu", _normal(net, _nhwc(net, x, channels, channels), channels))
        y = _normal(net, _nhwc(net, y, channels, channels), channels)
        x = net.call("Relu", net.call("Add", x, y))
    padded = net.call("Pad", x, net.hold(np.array([0, 1, 1, 0, 0, 1, 1, 0], np.int64)))
    half = net.call("Relu", _normal(net, _nhwc(net, padded, channels, channels, stride=2), channels))
    back = net.call("Resize", half, "", net.hold(np.array([1, 2, 2, 1], np.float32)), mode="nearest")
    cut = net.call("Slice", back, *(net.hold(np.array(v, np.int64)) for v in ([0, 0], [16, 16], [1, 2])))
    joined = net.call("Concat", x, cut, axis=3)
    return net.model(_bias(net, _nhwc(net, joined, 2 * channels, 4, 1), 4), ["N", 16, 16, 3], ["N", 16, 16, 4])


def _normal(net: Network, x: str, channels: int) -> str:
    """BatchNormalization as tf2onnx writes it, which knows it on NCHW alone."""
    inside = net.normalised(net.call("Transpose", x, perm=TO_NCHW), channels)
    return net.call("Transpose", inside, perm=TO_NHWC)


def repvgg(blocks: int = 4, channels: int = 8, group: int = 1) -> onnx.ModelProto:
    """Towers as they are trained: 3x3, 1x1 and the identity, each normalised, summed up, and rectified."""
    net = Network()
    x = net.call("Relu", net.normalised(net.convolved("x", 3, channels), channels))
    for _ in range(blocks):
        dense = net.normalised(net.convolved(x, channels, channels, 3, group=group), channels)
        point = net.normalised(net.convolved(x, channels, channels, 1, group=group), channels)
        total = net.call("Add", net.call("Add", dense, point), net.normalised(x, channels))
        x = net.call("Relu", total)
    return net.model(x, ["N", 3, 16, 16], ["N", channels, 16, 16])


def mobileone(blocks: int = 3, channels: int = 8, branches: int = 4) -> onnx.ModelProto:
    """MobileOne as it is trained: several depthwise branches, a 1x1 and the identity; then pointwise ones."""
    net = Network()
    x = net.call("Relu", net.normalised(net.convolved("x", 3, channels), channels))
    for _ in range(blocks):
        for kernel, group in ((3, channels), (1, 1)):
            parts = [net.convolved(x, channels, channels, kernel, group=group) for _ in range(branches)]
            if kernel > 1:
                parts.append(net.convolved(x, channels, channels, 1, group=group))
            total = net.normalised(x, channels)
            for part in parts:
                total = net.call("Add", total, net.normalised(part, channels))
            x = net.call("Relu", total)
    return net.model(x, ["N", 3, 16, 16], ["N", channels, 16, 16])
