"""What quantised models do in ONNX Runtime: which operators it executes, and what comes out."""

import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort

import graphopt
from tests.support import operators


def quantised(model, data, passes="quant:scheme=static", **options):
    """The result of static quantisation for x86 with VNNI."""
    return graphopt.optimize(model, passes=passes, calibration=data, target="x64-vnni", **options)


def session(message, path=None):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if path is not None:
        options.optimized_model_filepath = str(path)
    return ort.InferenceSession(message.SerializeToString(), options, providers=["CPUExecutionProvider"])


def executed(message):
    """The operators that the runtime executes, after its own fusions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        session(message, path)
        return operators(onnx.load(path))


def first_output(message, feeds):
    """The first output of a model."""
    return session(message).run(None, feeds)[0]
