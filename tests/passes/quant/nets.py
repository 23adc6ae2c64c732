"""What tests of quantisation share: a small network, data for it, and what the runtime makes of a model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

import graphopt
from graphopt.numerics.run import InProcess
from tests.support import operators, proto

CONVS = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 3, 12, 12] x) => (float[N, 5] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
    r = Relu (a)
    c = Conv <pads = [1, 1, 1, 1]> (r, w1)
    m = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (r)
    s = Add (c, m)
    t = Relu (s)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (t)
    g = GlobalAveragePool (p)
    f = Flatten (g)
    y = Gemm <transB = 1> (f, w2, b2)
}
"""
WEIGHTS = {"w0": (8, 3, 3, 3), "b0": (8,), "w1": (8, 8, 3, 3), "w2": (5, 8), "b2": (5,)}
INTEGERS = {"QLinearConv": 2, "QLinearAdd": 1, "QLinearGlobalAveragePool": 1, "QGemm": 1}


def convs():
    return proto(CONVS, WEIGHTS)


def samples(shape=(16, 3, 12, 12), seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def saved(folder, **arrays):
    path = Path(folder) / "data.npz"
    np.savez(path, **arrays)
    return path


def quantised(model, data, passes="quant:scheme=static", target="x64-vnni", verify="off", **options):
    """The result of the pass; unchecked unless asked, as these tests look at the numbers themselves."""
    return graphopt.optimize(
        model, passes=passes, calibration=data, target=target, verify=verify, runner=InProcess(), **options
    )


def executed(model):
    """The operators that the runtime executes, after its own fusions."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "model.onnx")
        options.log_severity_level = 4
        ort.InferenceSession(_bytes(model), options, providers=["CPUExecutionProvider"])
        return operators(onnx.load(options.optimized_model_filepath))


def run(model, **feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(_bytes(model), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def _bytes(model):
    return (model if isinstance(model, onnx.ModelProto) else model.to_proto()).SerializeToString()


def sqnr(reference, found):
    """Signal to noise in dB."""
    reference, found = (np.asarray(one, np.float64) for one in (reference, found))
    return 10 * np.log10(np.square(reference).sum() / max(1e-30, np.square(reference - found).sum()))
