"""Networks that another tool has fused before, wholly or partly: they do not grow, and stay right."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest

import graphopt
from tests.bench.optimisers import Kind, transformers
from tests.corpus.files import ROOT, inputs
from tests.corpus.test_sizes_and_masks import TOLERANCE, agree

pytestmark = pytest.mark.skipif(not ROOT.exists(), reason=f"the corpus is not at {ROOT}")
NETWORKS = (
    *("bert.ts", "clip_vision.ts", "convnext.dynamo", "efficientnet.ts", "gpt2.dynamo", "llama.dynamo", "lstm.ts"),
    *(
        "mobilenetv3.ts",
        "resnet.ts",
        "roberta.dynamo",
        "swin.dynamo",
        "t5.ts",
        "unet.ts",
        "vit_timm.dynamo",
        "whisper.ts",
    ),
)


def fused(name: str, path: str) -> None:
    """Write what ONNX Runtime makes of a network."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = path
    options.log_severity_level = 3
    onnxruntime.InferenceSession(ROOT / "graphs" / f"{name}.onnx", options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_is_fused_does_not_grow(name, tmp_path):
    path = str(tmp_path / "fused.onnx")
    fused(name, path)
    result = graphopt.optimize(path, verify="off")
    assert result.report.after.nodes <= result.report.before.nodes
    before, after = onnx.load(path).SerializeToString(), result.model.to_proto().SerializeToString()
    agree((before, after), inputs(ROOT / "graphs" / f"{name}.onnx"), TOLERANCE)


@pytest.mark.parametrize(
    ("name", "kind"), [("bert.ts", "bert"), ("t5.ts", "t5"), ("vit.ts", "vit"), ("whisper.ts", "bart")]
)
def test_what_is_partly_fused_becomes_what_the_original_becomes(name, kind, tmp_path):
    """ONNX Runtime's tool for transformers finds normalisations and activations here, and no attention."""
    pytest.importorskip("sympy", reason="the tool for transformers needs sympy")
    source, path = ROOT / "graphs" / f"{name}.onnx", tmp_path / "partly.onnx"
    transformers(source, path, Kind(kind, 0, 0))
    whole, result = (graphopt.optimize(one, verify="off") for one in (source, path))
    assert result.report.after.nodes <= whole.report.after.nodes < result.report.before.nodes
    before, after = onnx.load(path).SerializeToString(), result.model.to_proto().SerializeToString()
    agree((before, after), inputs(source), TOLERANCE)
