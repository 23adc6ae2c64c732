"""The law on real networks and exporters' graphs: zeroing consumers of atoms, and taking these out, are the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import graphopt
from graphopt.analysis.shapes import Shapes
from graphopt.ir.reader import load
from graphopt.numerics.run import InProcess
from passes.prune.grouping import Grouping
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
HEADS = ("bert", "clip_vision", "distilbert", "gpt2", "llama", "roberta", "swin", "t5", "vit", "vit_timm", "whisper")
TRANSFORMERS = [path for path in files.models() if path.stem.split(".")[0] in HEADS]
CASES = [(path, (0.25, 0.5)[place % 2]) for place, path in enumerate(files.models())]
"""All files at one of both shares; `make bench` has them at both."""


@pytest.mark.parametrize(("path", "share"), CASES, ids=lambda given: getattr(given, "stem", given))
def test_a_cut_computes_what_zeroed_consumers_do(path, share):
    proto = onnx.load(path)
    smaller, grouping, plan = taken_out(proto, 0, share)
    assert bool(grouping.groups) == (path.stem not in PINNED)
    if not plan:
        return
    masked, feeds = zeroed(proto, 0, share), files.inputs(path)
    expected, found = (InProcess().run(model.SerializeToString(), feeds) for model in (masked, smaller))
    for one, other in zip(expected, found, strict=True):
        assert other.shape == one.shape
        if one.dtype.kind == "f":
            np.testing.assert_allclose(other, one, rtol=0, atol=TOLERANCE * float(np.abs(one).max()))
        else:
            np.testing.assert_array_equal(other, one)


def layers(path):
    """How many groups of heads there are at least: the layers of t5 share a bias of the heads, which so go together."""
    return 1 if path.stem.startswith("t5") else 2


@pytest.mark.parametrize("path", TRANSFORMERS, ids=lambda path: path.stem)
def test_heads_and_inner_widths_are_found_as_exporters_write_them(path):
    model = load(path)
    kinds = [str(group.kind) for group in Grouping(model, Shapes(model)).groups]
    assert kinds.count("heads") >= layers(path)
    assert kinds.count("units") + kinds.count("channels") >= 2


@pytest.mark.parametrize("path", TRANSFORMERS[::4], ids=lambda path: path.stem)
def test_they_are_found_in_fused_form(path):
    model = graphopt.optimize(path, verify="off").model
    kinds = [str(group.kind) for group in Grouping(model, Shapes(model)).groups]
    assert any("Attention" in node.op for node in model.graph.nodes)
    assert kinds.count("heads") >= layers(path)
    assert kinds.count("units") + kinds.count("channels") >= 2
