"""The law on real networks and exporters' graphs: to zero the consumers of atoms, and to take these out, are the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from graphopt.numerics.run import InProcess
from tests.corpus import files
from tests.passes.prune.test_law import taken_out, zeroed

TOLERANCE = 1e-3
"""Of the largest number of an output, through whole networks."""
PINNED = {
    **dict.fromkeys(("silero-vad", "trees-sklearn", "trees-xgboost"), "no weights outside of branches"),
    **dict.fromkeys(("nanodet", "ultraface"), "weights are inputs that may be overridden"),
    "dtln": "the states are inputs and outputs",
    **dict.fromkeys(("lstm.dynamo", "lstm.ts"), "the weights are computed"),
}
HEADS = ("bert", "clip_vision", "distilbert", "llama", "roberta", "swin", "t5", "vit", "vit_timm", "whisper")
"""Transformers whose heads are found as the exporters wrote them; those of gpt2 are split into a sequence."""


@pytest.mark.parametrize("share", [0.25, 0.5])
@pytest.mark.parametrize("path", files.models() or [None], ids=lambda path: path.stem if path else "no corpus")
def test_a_cut_computes_what_zeroed_consumers_do(path, share):
    if path is None:
        pytest.skip("there is no corpus beside the checkout")
    proto = onnx.load(path)
    smaller, grouping, plan = taken_out(proto, 0, share)
    assert bool(grouping.groups) == (path.stem not in PINNED)
    if not plan:
        return
    feeds = files.inputs(path)
    masked = zeroed(proto, 0, share)
    expected, found = (InProcess().run(model.SerializeToString(), feeds) for model in (masked, smaller))
    for one, other in zip(expected, found, strict=True):
        assert other.shape == one.shape
        if one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE * float(np.abs(one).max()))
        else:
            np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("path", [p for p in files.models() if p.stem.split(".")[0] in HEADS], ids=lambda path: path.stem)
def test_heads_and_inner_widths_are_found(path):
    _, grouping, _ = taken_out(onnx.load(path), 0, 0.0)
    assert {"heads", "units"} <= {str(group.kind) for group in grouping.groups}
