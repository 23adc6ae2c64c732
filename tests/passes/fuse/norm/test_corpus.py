"""Which fusions of activations and normalisations real networks get, in their own opset and in opset 24."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnx.version_converter
import pytest

import graphopt
from graphopt import rule_pass
from passes.fuse import activation, norm

ROOT = Path(__file__).parents[5] / "shared" / "corpus"
FUSE = rule_pass("spellings", "Activations and normalisations.", (*activation.RULES, *norm.RULES))

AS_PUBLISHED = {
    "graphs/gpt2.dynamo": {"gelu_tanh": 2},
    "nets/basic-pitch": {"reduce_l2": 1},
    "nets/magika": {"relu": 2, "reduce_sum_square": 2},
    "nets/person-reid": {"prelu": 1},
    "nets/ppocr-cls": {"hard_swish": 18},
}
IN_OPSET_24 = {
    "graphs/bert.ts": {"gelu": 2},
    "graphs/clip_vision.ts": {"quick_gelu": 2},
    "graphs/convnext.ts": {"gelu_tanh": 9},
    "graphs/efficientnet.ts": {"silu": 11},
    "graphs/llama.dynamo": {"rms_norm": 5, "silu": 2},
    "graphs/t5.ts": {"rms_norm": 5},
    "graphs/unet.ts": {"silu": 1, "group_norm": 1},
    "nets/bert-qa-tf": {"layer_norm": 49, "gelu": 24},
    "nets/magika": {"relu": 2, "reduce_sum_square": 2, "gelu_tanh": 2},
    "nets/yolox-nano": {"silu": 104},
}

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason=f"the corpus is not at {ROOT}")


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_fusions_as_published(name):
    assert fusions(onnx.load(ROOT / f"{name}.onnx")) == AS_PUBLISHED[name]


@pytest.mark.parametrize("name", IN_OPSET_24)
def test_fusions_in_opset_24(name):
    model = onnx.version_converter.convert_version(onnx.load(ROOT / f"{name}.onnx"), 24)
    assert fusions(model) == IN_OPSET_24[name]


def fusions(model: onnx.ModelProto) -> dict[str, int]:
    """How often each rule fires after constant folding, every time verified."""
    result = graphopt.optimize(model, passes=["fold", FUSE])
    assert not result.report.rolled_back, result.report
    assert not result.report.unverified, result.report
    names = {rule.name for rule in FUSE.rules}
    return dict(Counter(entry.rule for entry in result.report.rewrites if entry.rule in names))
