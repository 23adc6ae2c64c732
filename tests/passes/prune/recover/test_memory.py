"""However many layers a network has, the matrices of one at a time are in memory."""

from __future__ import annotations

import tracemalloc

import graphopt
from graphopt.numerics.run import InProcess
from graphopt.pipeline import context
from passes.prune import curves
from tests.bench.wide_layers import write

WIDTH = 192
MATRIX = 8 * WIDTH**2
"""Bytes of the second moments of a layer."""


def peak(folder, depth):
    """Bytes of Python objects and arrays that pruning and saving took."""
    model, samples = folder / f"{depth}.onnx", folder / "samples.npz"
    write(model, samples, WIDTH, depth)
    tracemalloc.start()
    try:
        result = graphopt.optimize(
            model, passes="prune:macs=0.5", calibration=samples, verify="off", runner=InProcess()
        )
        result.model.save(folder / "out.onnx")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_layers(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "MADE", 0)
    monkeypatch.setattr(curves, "AT_ONCE", 0)
    peak(tmp_path, 2)
    assert peak(tmp_path, 8) - peak(tmp_path, 4) < MATRIX
