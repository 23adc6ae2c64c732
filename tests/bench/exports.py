"""Nodes, and Transposes among them, of networks as exporters spell them, beside what other optimisers reach."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx

import graphopt
from tests.bench import networks

PIPELINE = "clean,fix(canonical,fold,fuse,clean,layout,algebra)"
NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "Keras MobileNet, NHWC": networks.keras_mobilenet,
    "the same, quantised": lambda: networks.keras_mobilenet(quantised=True),
    "Keras ResNet, NHWC": networks.keras_residual,
    "RepVGG as trained": networks.repvgg,
    "RepVGG, depthwise": lambda: networks.repvgg(group=8),
    "MobileOne as trained": networks.mobileone,
}


def _ours(model: onnx.ModelProto) -> onnx.ModelProto:
    result = graphopt.optimize(model, passes=PIPELINE, verify="full")
    assert not result.report.rolled_back
    assert str(result.report.whole.status) == "verified"
    return result.model.to_proto()


def _onnxruntime(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


TOOLS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "graphopt": _ours,
    "onnxslim": lambda model: importlib.import_module("onnxslim").slim(model),
    "onnxsim": lambda model: importlib.import_module("onnxsim").simplify(model)[0],
    "onnxscript": lambda model: importlib.import_module("onnxscript.optimizer").optimize(model),
    "onnxruntime extended": _onnxruntime,
}


def _cell(tool: Callable[[onnx.ModelProto], onnx.ModelProto], model: onnx.ModelProto) -> str:
    try:
        made = tool(model)
    except ImportError:
        return "not installed"
    return f"{len(made.graph.node)} ({sum(node.op_type == 'Transpose' for node in made.graph.node)})"


def main() -> None:
    print("nodes (Transposes)\n\n| network | original | " + " | ".join(TOOLS) + " |")
    print("|---" * (len(TOOLS) + 2) + "|")
    for name, make in NETWORKS.items():
        cells = [_cell(tool, make()) for tool in (lambda model: model, *TOOLS.values())]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)
