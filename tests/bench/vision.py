"""Networks that see, at their usual sizes, as PyTorch's older exporter spells them, with seeded numbers for weights.

ViT-B/16 (86 M parameters), Swin-T (28 M) and ConvNeXt-T (28 M): pictures of 224 by 224, free batch.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from tests.bench.full_size import FLOAT, Export, Tensor

PICTURE: list[object] = ["batch", 3, 224, 224]
CLASSES = 1000
WINDOW = 7
TURNED = [0, 2, 1, 3]


class Vision(Export):
    """Pieces of such networks."""

    def norm(self, tensor: Tensor, width: int, epsilon: float = 1e-5) -> Tensor:
        parts = self.weight(width, center=1.0), self.weight(width)
        return self("LayerNormalization", tensor, *parts, axis=-1, epsilon=epsilon)

    def patches(self, tensor: Tensor, source: int, width: int, size: int) -> Tensor:
        """A convolution whose windows do not overlap."""
        weight = self.weight(width, source, size, size, scale=1 / math.sqrt(source * size**2))
        return self("Conv", tensor, weight, self.weight(width), kernel_shape=[size, size], strides=[size, size])

    def rows(self, picture: Tensor, width: int) -> Tensor:
        """[batch, width, height, breadth] as [batch, height * breadth, width]."""
        flat = self.reshaped(picture, self.size(picture, 0), width, -1)
        return self("Transpose", flat, perm=[0, 2, 1])

    def attention(self, state: Tensor, width: int, heads: int, biases: tuple[Tensor, ...] = ()) -> Tensor:
        """Self-attention; what `biases` name is added to the scores."""
        query, key, value = (
            self.heads(self.linear(state, width, width), heads, width, perm) for perm in (TURNED, [0, 2, 3, 1], TURNED)
        )
        scores = self("Div", self("MatMul", query, key), self.constant(math.sqrt(width // heads), np.float32))
        for bias in biases:
            scores = self("Add", scores, bias)
        mixed = self("MatMul", self("Softmax", scores, axis=-1), value)
        return self.linear(self.joined(mixed, width), width, width)

    def mlp(self, state: Tensor, width: int) -> Tensor:
        return self.linear(self.gelu(self.linear(state, width, 4 * width)), 4 * width, width)

    def classified(self, pooled: Tensor, width: int) -> onnx.ModelProto:
        self("Gemm", pooled, self.weight(CLASSES, width), self.weight(CLASSES), transB=1)
        return self.model({"x": (FLOAT, PICTURE)}, {"logits": ["batch", CLASSES]})


def vit_b(layers: int = 12, width: int = 768, heads: int = 12) -> onnx.ModelProto:
    """The encoder of patches and a class token, of which the head looks at the latter."""
    e = Vision()
    state = e.rows(e.patches("x", 3, width, 16), width)
    target = e("Concat", e.size("x", 0), e.constant([-1]), e.constant([-1]), axis=0)
    same = e("Equal", target, e.constant([-1]))
    target = e("Where", same, e.constant([1, 1, width]), target)
    token = e("Expand", e.weight(1, 1, width), target)
    state = e("Add", e("Concat", token, state, axis=1), e.weight(1, 197, width))
    for _ in range(layers):
        state = e("Add", e.attention(e.norm(state, width), width, heads), state)
        state = e("Add", e.mlp(e.norm(state, width), width), state)
    return e.classified(e("Gather", e.norm(state, width), e.constant(0), axis=1), width)


def convnext_t() -> onnx.ModelProto:
    """Depthwise convolutions of 7 by 7, each followed by two linear layers on channels."""
    e = Vision()
    widths, blocks = (96, 192, 384, 768), (3, 3, 9, 3)
    state = _channel_norm(e, e.patches("x", 3, widths[0], 4), widths[0])
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if stage:
            state = e.patches(_channel_norm(e, state, widths[stage - 1]), widths[stage - 1], width, 2)
        for _ in range(count):
            weight = e.weight(width, 1, 7, 7, scale=1 / 7)
            sizes = {"kernel_shape": [7, 7], "pads": [3] * 4}
            inner = e("Conv", state, weight, e.weight(width), group=width, **sizes)
            inner = e.mlp(e.norm(e("Transpose", inner, perm=[0, 2, 3, 1]), width, 1e-6), width)
            inner = e("Mul", inner, e.weight(width, scale=0.1, center=0.5))
            state = e("Add", state, e("Transpose", inner, perm=[0, 3, 1, 2]))
    pooled = e("Flatten", e("GlobalAveragePool", state), axis=1)
    return e.classified(e.norm(pooled, widths[-1], 1e-6), widths[-1])


def _channel_norm(e: Vision, picture: Tensor, width: int) -> Tensor:
    """Normalised along channels, which PyTorch wants last."""
    last = e.norm(e("Transpose", picture, perm=[0, 2, 3, 1]), width, 1e-6)
    return e("Transpose", last, perm=[0, 3, 1, 2])


def swin_t() -> onnx.ModelProto:
    """Attention within windows, every second time of a shifted picture; patches are merged between stages."""
    e = Vision()
    width, side = 96, 56
    state = e.norm(e.rows(e.patches("x", 3, width, 4), width), width)
    for stage, blocks in enumerate((2, 2, 6, 2)):
        if stage:
            state = _merged(e, state, width, side)
            width, side = 2 * width, side // 2
        for block in range(blocks):
            shift = WINDOW // 2 if block % 2 and side > WINDOW else 0
            inner = _windowed(e, e.norm(state, width), width, side, shift, heads=3 << stage)
            state = e("Add", state, inner)
            state = e("Add", state, e.mlp(e.norm(state, width), width))
    return e.classified(e("ReduceMean", e.norm(state, width), axes=[1], keepdims=0), width)


def _windowed(e: Vision, state: Tensor, width: int, side: int, shift: int, heads: int) -> Tensor:
    area, across = WINDOW**2, side // WINDOW
    picture = e.reshaped(state, e.size(state, 0), side, side, width)
    batch = e.size(picture, 0)
    if shift:
        picture = _rolled(e, picture, shift)
    parts = e.reshaped(picture, batch, across, WINDOW, across, WINDOW, width)
    windows = e.reshaped(e("Transpose", parts, perm=[0, 1, 3, 2, 4, 5]), -1, area, width)
    table = e("Gather", e.weight((2 * WINDOW - 1) ** 2, heads), e.held(_places().reshape(-1)))
    spread = e("Transpose", e.reshaped(table, area, area, heads), perm=[2, 0, 1])
    biases = (e("Unsqueeze", spread, e.constant([0])),)
    if shift:
        biases = (*biases, e("Tile", e.held(_apart(side, shift)), e("Concat", batch, *[e.constant([1])] * 3, axis=0)))
    mixed = e.attention(windows, width, heads, biases)
    parts = e.reshaped(mixed, -1, across, across, WINDOW, WINDOW, width)
    picture = e.reshaped(e("Transpose", parts, perm=[0, 1, 3, 2, 4, 5]), -1, side, side, width)
    if shift:
        picture = _rolled(e, picture, -shift)
    return e.reshaped(picture, batch, side * side, width)


def _rolled(e: Vision, picture: Tensor, shift: int) -> Tensor:
    """The first `shift` rows and columns go to the end; of a negative number the last to the front."""
    last = np.iinfo(np.int64).max
    for axis in (1, 2):
        ends = [(shift, last), (0, shift)]
        cut = [e("Slice", picture, *(e.constant([v]) for v in (start, end, axis, 1))) for start, end in ends]
        picture = e("Concat", *cut, axis=axis)
    return picture


def _places() -> np.ndarray:
    """int64 [area, area]: for each pair of pixels of a window, the row of the table of biases."""
    at = np.stack(np.meshgrid(np.arange(WINDOW), np.arange(WINDOW), indexing="ij")).reshape(2, -1)
    rows, columns = at[:, :, None] - at[:, None] + WINDOW - 1
    return (rows * (2 * WINDOW - 1) + columns).astype(np.int64)


def _apart(side: int, shift: int) -> np.ndarray:
    """float [windows, 1, area, area]: -100 between pixels that are neighbours only by the shift."""
    edges = np.digitize(np.arange(side), (side - WINDOW, side - shift))
    regions = edges[:, None] * 3 + edges
    across = side // WINDOW
    parts = regions.reshape(across, WINDOW, across, WINDOW).swapaxes(1, 2).reshape(across**2, 1, WINDOW**2)
    return np.where(parts[..., None] == parts[:, :, None], 0, -100).astype(np.float32)


def _merged(e: Vision, state: Tensor, width: int, side: int) -> Tensor:
    picture = e.reshaped(state, e.size(state, 0), side, side, width)
    last = np.iinfo(np.int64).max
    corners = []
    for column, row in ((0, 0), (0, 1), (1, 0), (1, 1)):
        half = e("Slice", picture, *(e.constant([v]) for v in (row, last, 1, 2)))
        corners.append(e("Slice", half, *(e.constant([v]) for v in (column, last, 2, 2))))
    joined = e.reshaped(e("Concat", *corners, axis=-1), e.size(picture, 0), -1, 4 * width)
    weight = e("Transpose", e.weight(2 * width, 4 * width), perm=[1, 0])
    return e("MatMul", e.norm(joined, 4 * width), weight)
