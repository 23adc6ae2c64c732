"""Every node case of the onnx package that ONNX Runtime runs comes out of `run` as onnx says, whatever its types."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from graphopt.numerics.compare import compare
from graphopt.numerics.contract import Close
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.run import run

ROUNDING = {"float32": 2000, "float64": 1 << 33}
"""Rounding errors that kernels and onnx's own reference differ by; narrower types get a few."""

DEVIATIONS = {
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal": "masks with the lowest float, not -inf",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal": "masks with the lowest float, not -inf",
    "test_maxunpool_export_with_output_shape": "counts positions in the input's shape",
    "test_resize_downsample_scales_cubic_align_corners": "rounds the output's length differently",
    "test_resize_downsample_scales_linear_align_corners": "rounds the output's length differently",
    "test_training_dropout": "random",
    "test_training_dropout_default": "random",
    "test_training_dropout_default_mask": "random",
    "test_training_dropout_mask": "random",
}
"""Cases in which the runtime is known to differ from onnx, and how."""


def value(held):
    return numpy_helper.to_array(held) if isinstance(held, onnx.TensorProto) else held


def outcome(case):
    """ "right", what is wrong, or the kind of failure."""
    inputs, outputs = case.data_sets[0]
    feeds = {info.name: value(held) for info, held in zip(case.model.graph.input, inputs, strict=False)}
    try:
        found = run(case.model.SerializeToString(), feeds)
    except RunFailure as failure:
        return failure.kind
    for old, new in zip(outputs, found, strict=True):
        name = np.asarray(old).dtype.name if isinstance(old, np.ndarray | np.generic) else ""
        verdict = compare([value(old)], [new], Close(ROUNDING.get(name, 8)))
        if not verdict.ok:
            return verdict.reason
    return "right"


@pytest.fixture(scope="module")
def outcomes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    return {case.name: outcome(case) for case in cases}


def test_what_runs_is_right(outcomes):
    failures = {"invalid", "unsupported", "failed"}
    wrong = {name: found for name, found in outcomes.items() if found not in failures and found != "right"}
    assert wrong.keys() == DEVIATIONS.keys(), {name: wrong[name] for name in wrong if name not in DEVIATIONS}


def test_most_cases_run(outcomes):
    assert Counter(outcomes.values())["right"] >= 1400
