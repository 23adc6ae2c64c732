"""What tests of rules and passes share: models from ONNX text, and the two questions `fires` and `refuses`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

import graphopt
from graphopt.ir.model import Model
from graphopt.numerics.run import InProcess
from graphopt.pipeline.passes import Pass
from graphopt.rewrite.rule import Rule

Weights = Mapping[str, Any]

SHORTCUT = """g (float[n, 3, 8, 8] x) => (float[n, 12, 8, 8] z) {
    a = Conv <pads = [1, 1, 1, 1]> (x, first)
    r = Relu (a)
    y = Conv <pads = [1, 1, 1, 1]> (r, second)
    d = Conv (r, short)
    p = Add (y, d)
    z = Relu (p)
}"""
"""A sum of two convolutions, which the runtime may fuse: then what one of them gives is nowhere to be had."""


def proto(text: str, weights: Weights | None = None) -> onnx.ModelProto:
    """The model that `text` spells (onnx.parser syntax). Without a header it gets IR version 10 and opset 21.

    weights: initializers by name, arrays or seeded normal numbers of a given shape (a tuple).
    """
    if not text.lstrip().startswith("<"):
        text = '<ir_version: 10, opset_import: ["" : 21]>\n' + text
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for name, value in (weights or {}).items():
        array = rng.standard_normal(value).astype(np.float32) if isinstance(value, tuple) else np.asarray(value)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def operators(model: Model | onnx.ModelProto) -> Counter[str]:
    """How often each operator occurs at the top level."""
    message = model.to_proto() if isinstance(model, Model) else model
    return Counter(node.op_type for node in message.graph.node)


def apply(what: Rule | Pass | str, text: str, weights: Weights | None = None, **options: Any) -> graphopt.Result:
    """Optimise with one rule, one pass or a pipeline, every rewrite and the whole verified, in this process."""
    passes = what if isinstance(what, str | list) else [what]
    return graphopt.optimize(proto(text, weights), passes=passes, verify="full", **{"runner": InProcess()} | options)


def fires(
    what: Rule | Pass | str,
    text: str,
    weights: Weights | None = None,
    *,
    leaves: Sequence[str] | Mapping[str, int],
    **options: Any,
) -> Model:
    """The rule rewrites this model, verified, and these operators are left (in any order). Returns the result."""
    result = apply(what, text, weights, **options)
    assert not result.report.rolled_back, result.report
    assert not result.report.unverified, result.report
    assert result.report.rewrites, f"nothing fired: {result.report.refusals}"
    assert operators(result.model) == Counter(leaves)
    onnx.checker.check_model(result.model.to_proto(), full_check=True)
    return result.model


def refuses(
    what: Rule | Pass | str, text: str, weights: Weights | None = None, *, reason: str = "", **options: Any
) -> None:
    """The rule leaves this model alone; `reason` is part of what it says about why."""
    result = apply(what, text, weights, **options)
    assert not result.report.rewrites, result.report
    assert not result.report.rolled_back, f"refused only by the verifier: {result.report}"
    assert operators(result.model) == operators(proto(text, weights))
    assert not [note for note in result.report.notes if "it raised" in note], result.report.notes
    said = [refusal.reason for refusal in result.report.refusals]
    assert not reason or any(reason in one for one in said), said
