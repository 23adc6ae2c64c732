"""A decoder with rotary positions and an encoder of sound, as PyTorch's older exporter spells them, seeded weights.

Four layers 2,048 wide of a Llama with shared key and value heads (240 M parameters: a small vocabulary keeps the file
below a gigabyte), free batch and sequence; the encoder of Whisper-tiny (8 M), free batch.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from tests.bench.full_size import FLOAT, INT64, Export, Tensor
from tests.bench.vision import TURNED, Vision


def llama(
    layers: int = 4, width: int = 2048, heads: int = 32, groups: int = 8, inner: int = 5632, words: int = 8192
) -> onnx.ModelProto:
    """Ids to logits, without a cache; every position sees those before it."""
    e = Export()
    head = width // heads
    vocabulary = e.weight(words, width)
    state = e("Gather", vocabulary, "input_ids")
    cos, sin = _rotation(e, head)
    bias = _causal(e)
    for _ in range(layers):
        normal = _rms_norm(e, state, width)
        query, key, value = (
            e.heads(_projected(e, normal, width, count * head), count, count * head, TURNED)
            for count in (heads, groups, groups)
        )
        query, key = (_rotated(e, one, head, cos, sin) for one in (query, key))
        key, value = (_repeated(e, one, groups, heads // groups, head) for one in (key, value))
        product = e("MatMul", query, e("Transpose", key, perm=[0, 1, 3, 2]))
        scores = e("Add", e("Mul", product, e.constant(head**-0.5, np.float32)), bias)
        mixed = e.joined(e("MatMul", e("Softmax", scores, axis=-1), value), width)
        state = e("Add", state, _projected(e, mixed, width, width))
        normal = _rms_norm(e, state, width)
        gate = _projected(e, normal, width, inner)
        gate = e("Mul", gate, e("Sigmoid", gate))
        product = e("Mul", gate, _projected(e, normal, width, inner))
        state = e("Add", state, _projected(e, product, inner, width))
    e("MatMul", _rms_norm(e, state, width), e("Transpose", vocabulary, perm=[1, 0]))
    return e.model({"input_ids": (INT64, ["batch", "sequence"])}, {"logits": ["batch", "sequence", words]})


def _projected(e: Export, tensor: Tensor, columns: int, rows: int) -> Tensor:
    return e("MatMul", tensor, e("Transpose", e.weight(rows, columns), perm=[1, 0]))


def _rms_norm(e: Export, tensor: Tensor, width: int) -> Tensor:
    square = e("Pow", tensor, e.constant(2.0, np.float32))
    mean = e("Add", e("ReduceMean", square, axes=[-1]), e.constant(1e-5, np.float32))
    inverse = e("Div", e.constant(1.0, np.float32), e("Sqrt", mean))
    return e("Mul", e.weight(width, center=1.0), e("Mul", tensor, inverse))


def _rotation(e: Export, head: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, 1, sequence, head]."""
    length = e("Gather", e("Shape", "input_ids"), e.constant(1), axis=0)
    places = e("Unsqueeze", e("Range", e.constant(0), length, e.constant(1)), e.constant([0]))
    column = e("Unsqueeze", e("Cast", places, to=FLOAT), e.constant([2]))
    speed = (10000.0 ** (-np.arange(0, head, 2) / head)).astype(np.float32)
    angles = e("MatMul", column, e.held(speed[None, None]))
    both = e("Concat", angles, angles, axis=-1)
    cos, sin = (e("Unsqueeze", e(op, both), e.constant([1])) for op in ("Cos", "Sin"))
    return cos, sin


def _rotated(e: Export, tensor: Tensor, head: int, cos: Tensor, sin: Tensor) -> Tensor:
    last = np.iinfo(np.int64).max
    low, high = (
        e("Slice", tensor, *(e.constant([v]) for v in (start, end, 3, 1)))
        for start, end in ((0, head // 2), (head // 2, last))
    )
    turned = e("Concat", e("Neg", high), low, axis=-1)
    return e("Add", e("Mul", tensor, cos), e("Mul", turned, sin))


def _causal(e: Export) -> Tensor:
    """[1, 1, sequence, sequence]: the lowest number above the diagonal, and zero."""
    length = e.size("input_ids", 1)
    lowest = e.constant(np.finfo(np.float32).min, np.float32)
    square = e("Expand", lowest, e("Concat", length, length, axis=0))
    above = e("Trilu", square, e.constant(1), upper=1)
    return e("Unsqueeze", e("Unsqueeze", above, e.constant([0])), e.constant([1]))


def _repeated(e: Export, tensor: Tensor, groups: int, times: int, head: int) -> Tensor:
    """Key or value heads, each for as many query heads as share it."""
    batch, length = e.size(tensor, 0), e.size(tensor, 2)
    apart = e("Unsqueeze", tensor, e.constant([2]))
    sizes = e("Concat", batch, e.constant([groups]), e.constant([times]), length, e.constant([head]), axis=0)
    return e.reshaped(e("Expand", apart, sizes), batch, groups * times, length, head)


def whisper_tiny(layers: int = 4, width: int = 384, heads: int = 6) -> onnx.ModelProto:
    """Thirty seconds of sound as 80 bands of 3,000 frames to hidden states."""
    e = Vision()
    state = "x"
    for source, stride in ((80, 1), (width, 2)):
        weight = e.weight(width, source, 3, scale=1 / math.sqrt(3 * source))
        sizes = {"kernel_shape": [3], "pads": [1, 1], "strides": [stride]}
        state = e.gelu(e("Conv", state, weight, e.weight(width), **sizes))
    state = e("Add", e("Transpose", state, perm=[0, 2, 1]), e.weight(1500, width))
    for _ in range(layers):
        state = e("Add", state, e.attention(e.norm(state, width), width, heads))
        state = e("Add", state, e.mlp(e.norm(state, width), width))
    e.norm(state, width)
    return e.model({"x": (FLOAT, ["batch", 80, 3000])}, {"hidden": ["batch", 1500, width]})
