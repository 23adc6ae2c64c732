"""Networks as exporters write them: how many attentions there are, and that each becomes one operator."""

from __future__ import annotations

from functools import cache

import pytest

import graphopt
from tests.corpus.files import ROOT
from tests.support import operators

BEFORE = "clean,fix(canonical,fold,fuse,clean)"
ATTENTIONS = {
    "bert.ts": {"multi_head_attention": 2, "packed_attention": 2},
    "bert.dynamo": {"multi_head_attention": 2, "packed_attention": 2},
    "clip_vision.ts": {"multi_head_attention": 2, "packed_attention": 2},
    "distilbert.dynamo": {"multi_head_attention": 2, "packed_attention": 2},
    "gpt2.dynamo": {"multi_head_attention": 2, "packed_attention": 2},
    "llama.dynamo": {"multi_head_attention": 2, "rotary_embedding": 4},
    "roberta.ts": {"multi_head_attention": 2, "packed_attention": 2},
    "swin.dynamo": {"multi_head_attention": 4, "packed_attention": 4},
    "swin.ts": {"multi_head_attention": 4, "packed_attention": 4},
    "t5.dynamo": {"multi_head_attention": 2, "packed_attention": 2},
    "t5.ts": {"multi_head_attention": 2, "packed_attention": 2},
    "vit.ts": {"multi_head_attention": 2, "packed_attention": 2},
    "vit_timm.ts": {"multi_head_attention": 6, "packed_attention": 6},
    "vit_timm.dynamo": {"multi_head_attention": 6, "packed_attention": 6},
    "whisper.dynamo": {"multi_head_attention": 2, "packed_attention": 2},
    "whisper.ts": {"multi_head_attention": 2, "packed_attention": 2},
}
PORTABLE = {
    "bert.dynamo": {"standard_attention": 2},
    "llama.dynamo": {"standard_attention": 2, "standard_rotary_embedding": 4},
    "vit.dynamo": {"standard_attention": 2},
}

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason=f"the corpus is not at {ROOT}")


@cache
def compiled(name: str, passes: str, target: str) -> graphopt.Result:
    path = ROOT / "graphs" / f"{name}.onnx"
    return graphopt.optimize(path, passes=passes, target=target, verify="structure")


def fired(result: graphopt.Result) -> dict[str, int]:
    return {rule: count for rule, count in result.report.hits.items() if "attention" in rule or "rotary" in rule}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_every_attention_of_a_network(name):
    result = compiled(name, f"{BEFORE},attention,clean", "ort")
    assert fired(result) == ATTENTIONS[name]
    assert operators(result.model)["Softmax"] == 0


@pytest.mark.parametrize("name", PORTABLE)
def test_every_attention_of_a_portable_network(name):
    result = compiled(name, f"{BEFORE},opset:version=23,attention,clean", "portable")
    assert fired(result) == PORTABLE[name]
    assert {node.domain for node in result.model.graph.nodes} == {""}


@pytest.mark.parametrize("name", ["bert.ts", "llama.dynamo", "vit_timm.ts"])
def test_networks_are_verified(name):
    path = ROOT / "graphs" / f"{name}.onnx"
    report = graphopt.optimize(path, passes=f"{BEFORE},attention,clean").report
    assert not report.rolled_back
    assert not report.unverified
    assert str(report.whole.status) == "verified"


@pytest.mark.parametrize("name", ["bert.ts", "swin.dynamo"])
def test_what_is_done_stays(name):
    once = compiled(name, f"{BEFORE},attention,clean", "ort").model.to_proto()
    again = graphopt.optimize(once, passes=f"{BEFORE},attention,clean", verify="structure").report
    assert not fired(graphopt.Result(None, again))
