"""Convolutional networks for phones at their usual sizes, as PyTorch's older exporter spells them, with seeded weights.

MobileNetV2 (3.5 M parameters), MobileNetV3-large (5.5 M) and EfficientNet-B0 (5.3 M), for pictures of 224 by 224.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx

from tests.bench.full_size import FLOAT, Export, Tensor

PICTURE = (3, 224, 224)


class Mobile(Export):
    """Pieces of such networks."""

    def conv(
        self,
        tensor: Tensor,
        inward: int,
        outward: int,
        size: int = 1,
        stride: int = 1,
        groups: int = 1,
        gain: float = 1.5,
    ) -> Tensor:
        weight = self.weight(outward, inward // groups, size, size, scale=gain / math.sqrt(inward // groups * size**2))
        sizes = {"kernel_shape": [size, size], "strides": [stride, stride], "pads": [size // 2] * 4}
        made = self("Conv", tensor, weight, group=groups, **sizes)
        gamma, variance = (self.held(self.rng.uniform(0.8, 1.2, outward).astype(np.float32)) for _ in range(2))
        shift, mean = (self.weight(outward, scale=0.1) for _ in range(2))
        return self("BatchNormalization", made, gamma, shift, mean, variance, epsilon=1e-5)

    def plain(self, tensor: Tensor, inward: int, outward: int) -> Tensor:
        """A convolution of single pixels with a bias, without a normalisation."""
        weight = self.weight(outward, inward, 1, 1, scale=1.5 / math.sqrt(inward))
        return self("Conv", tensor, weight, self.weight(outward, scale=0.1), kernel_shape=[1, 1])

    def relu(self, tensor: Tensor) -> Tensor:
        return self("Relu", tensor)

    def relu6(self, tensor: Tensor) -> Tensor:
        return self("Clip", tensor, self.constant(0.0, np.float32), self.constant(6.0, np.float32))

    def hard_swish(self, tensor: Tensor) -> Tensor:
        return self("HardSwish", tensor)

    def hard_sigmoid(self, tensor: Tensor) -> Tensor:
        return self("HardSigmoid", tensor, alpha=1 / 6)

    def silu(self, tensor: Tensor) -> Tensor:
        return self("Mul", tensor, self("Sigmoid", tensor))

    def sigmoid(self, tensor: Tensor) -> Tensor:
        return self("Sigmoid", tensor)

    def excited(
        self,
        tensor: Tensor,
        width: int,
        narrow: int,
        inner: Callable[[Tensor], Tensor],
        gate: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Squeeze and excite: channels times what a small network makes of their means."""
        squeezed = inner(self.plain(self("GlobalAveragePool", tensor), width, narrow))
        return self("Mul", gate(self.plain(squeezed, narrow, width)), tensor)

    def classified(self, tensor: Tensor, width: int, classes: int = 1000) -> onnx.ModelProto:
        self("Gemm", tensor, self.weight(classes, width, scale=1 / math.sqrt(width)), self.weight(classes), transB=1)
        return self.model({"x": (FLOAT, ["batch", *PICTURE])}, {"logits": ["batch", classes]})

    def pooled(self, tensor: Tensor) -> Tensor:
        return self("Flatten", self("GlobalAveragePool", tensor), axis=1)


def mobilenet_v2() -> onnx.ModelProto:
    """Inverted residuals with Relu6."""
    e = Mobile()
    state, channels = e.relu6(e.conv("x", 3, 32, 3, 2)), 32
    settings = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    for factor, outward, blocks, first in settings:
        for block in range(blocks):
            stride, width = first if not block else 1, channels * factor
            made = state if factor == 1 else e.relu6(e.conv(state, channels, width))
            made = e.conv(e.relu6(e.conv(made, width, width, 3, stride, width)), width, outward)
            state = e("Add", state, made) if stride == 1 and channels == outward else made
            channels = outward
    return e.classified(e.pooled(e.relu6(e.conv(state, channels, 1280))), 1280)


V3_LARGE = (
    "3 16 16 - r 1", "3 64 24 - r 2", "3 72 24 - r 1", "5 72 40 s r 2", "5 120 40 s r 1", "5 120 40 s r 1",
    "3 240 80 - h 2", "3 200 80 - h 1", "3 184 80 - h 1", "3 184 80 - h 1", "3 480 112 s h 1", "3 672 112 s h 1",
    "5 672 160 s h 2", "5 960 160 s h 1", "5 960 160 s h 1",
)  # fmt: skip
"""Size, width, channels, squeeze and excite, Relu or HardSwish, and stride of each block."""
V3_GAIN = 0.7
"""Of the last convolution of each: with it activations are of the size that normalisation gives trained ones, where
HardSwish is curved."""


def mobilenet_v3_large() -> onnx.ModelProto:
    """Inverted residuals with Relu or HardSwish, some of them gated."""
    e = Mobile()
    state, channels = e.hard_swish(e.conv("x", 3, 16, 3, 2)), 16
    for line in V3_LARGE:
        size, width, outward, excites, kind, stride = (int(w) if w.isdigit() else w for w in line.split())
        act = e.relu if kind == "r" else e.hard_swish
        made = state if width == channels else act(e.conv(state, channels, width))
        made = act(e.conv(made, width, width, size, stride, width))
        if excites == "s":
            made = e.excited(made, width, _in_eights(width / 4), e.relu, e.hard_sigmoid)
        made = e.conv(made, width, outward, gain=V3_GAIN)
        state = e("Add", made, state) if stride == 1 and channels == outward else made
        channels = outward
    pooled = e.pooled(e.hard_swish(e.conv(state, channels, 960)))
    hidden = e("Gemm", pooled, e.weight(1280, 960, scale=1 / math.sqrt(960)), e.weight(1280), transB=1)
    return e.classified(e.hard_swish(hidden), 1280)


def _in_eights(width: float) -> int:
    nearest = max(8, int(width + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * width else nearest + 8


def efficientnet_b0() -> onnx.ModelProto:
    """Inverted residuals with SiLU, all of them gated."""
    e = Mobile()
    state, channels = e.silu(e.conv("x", 3, 32, 3, 2)), 32
    settings = (
        (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
    )  # fmt: skip
    for factor, outward, blocks, first, size in settings:
        for block in range(blocks):
            stride, width = first if not block else 1, channels * factor
            made = state if factor == 1 else e.silu(e.conv(state, channels, width))
            made = e.silu(e.conv(made, width, width, size, stride, width))
            made = e.excited(made, width, channels // 4, e.silu, e.sigmoid)
            made = e.conv(made, width, outward)
            state = e("Add", made, state) if stride == 1 and channels == outward else made
            channels = outward
    return e.classified(e.pooled(e.silu(e.conv(state, channels, 1280))), 1280)
