"""Transformers as exporters write them, with other batches, sequences and masks than they were exported with, and in
half precision: the default pipeline, checked from outside."""

from __future__ import annotations

import functools

import numpy as np
import onnx
import onnxruntime
import pytest

import graphopt
from tests.corpus.files import ROOT, inputs

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason=f"the corpus is not at {ROOT}")

LANGUAGE = ("bert.ts", "distilbert.ts", "roberta.ts")
OTHERS = ("t5.ts", "vit.ts", "clip_vision.ts", "vit_timm.ts", "whisper.ts")
STATIC = (
    "gpt2.dynamo",
    "llama.dynamo",
    "bert.dynamo",
    "t5.dynamo",
    "vit.dynamo",
    "whisper.dynamo",
    "clip_vision.dynamo",
)
SIZES = ((1, 1), (1, 7), (3, 12), (2, 33))
TOLERANCE, HALF = 1e-4, 2e-2


@functools.cache
def models(name: str, *, half: bool = False, target: str = "ort") -> tuple[bytes, bytes]:
    """The model as it is, and optimised."""
    model = onnx.load(ROOT / "graphs" / f"{name}.onnx")
    if half:
        from onnxruntime.transformers.float16 import convert_float_to_float16

        model = convert_float_to_float16(model, keep_io_types=False, disable_shape_infer=True)
    after = graphopt.optimize(model, target=target, verify="off").model.to_proto()
    return model.SerializeToString(), after.SerializeToString()


@functools.cache
def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def agree(pair: tuple[bytes, bytes], feeds: dict[str, np.ndarray], tolerance: float) -> None:
    before, after = (session(model).run(None, feeds) for model in pair)
    for expected, found in zip(before, after, strict=True):
        assert found.dtype == expected.dtype
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1e-6)
        assert not np.isnan(expected).all()
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def masks(batch: int, sequence: int) -> dict[str, np.ndarray]:
    """All keys, the first ones, every other one, none in the last row, and none at all."""
    whole = np.ones((batch, sequence), np.int64)
    first, other, row = whole.copy(), whole.copy(), whole.copy()
    first[:, (sequence + 1) // 2 :] = 0
    other[:, 1::2] = 0
    row[-1] = 0
    return {"all": whole, "first": first, "every other": other, "an empty row": row, "none": 0 * whole}


@pytest.mark.parametrize("target", ["ort", "cuda"])
@pytest.mark.parametrize("name", LANGUAGE)
def test_language_models(name, target):
    rng = np.random.default_rng(0)
    pair = models(name, target=target)
    for size in SIZES:
        ids = rng.integers(2, 200, size)
        for mask in masks(*size).values():
            agree(pair, {"input_ids": ids, "attention_mask": mask}, TOLERANCE)


@pytest.mark.parametrize("name", OTHERS)
def test_other_sizes(name):
    pair = models(name)
    for batch, sequence in SIZES:
        feeds = {
            tensor: resized(array, batch, sequence)
            for tensor, array in inputs(ROOT / "graphs" / f"{name}.onnx").items()
        }
        agree(pair, feeds, TOLERANCE)


def resized(array: np.ndarray, batch: int, sequence: int) -> np.ndarray:
    """Ids of another batch and length, or pictures and sounds of another batch."""
    length = [sequence] if array.ndim == 2 else array.shape[1:]
    return np.resize(array, (batch, *length))


@pytest.mark.parametrize("name", [*LANGUAGE, *OTHERS, *STATIC])
def test_half_precision(name):
    pair = models(name, half=True, target="cuda")
    feeds = inputs(ROOT / "graphs" / f"{name}.onnx")
    assert "Softmax" not in {node.op_type for node in onnx.load_from_string(pair[1]).graph.node}
    halves = {
        tensor: array.astype(np.float16) if array.dtype == np.float32 else array for tensor, array in feeds.items()
    }
    agree(pair, halves, HALF)
