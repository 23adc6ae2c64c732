"""What ONNX Runtime's own tests of its fusions say, as facts: a graph, and how often operators are left of it.

The graphs are spelled anew here; the counts are those that these tests expect. Where ours are lower, a test says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import graphopt
from graphopt.numerics.run import InProcess
from tests.support import operators, proto

CONTRIB = ', "com.microsoft" : 1'


def leaves(
    text: str, counts: Mapping[str, int], weights: Mapping[str, Any] | None = None, **options: Any
) -> graphopt.Model:
    """The default pipeline leaves so many of these operators, verified; the model. options: of `optimize`."""
    result = graphopt.optimize(proto(text, weights), **{"verify": "full", "runner": InProcess()} | options)
    assert not result.report.rolled_back, result.report
    assert not result.report.unverified, result.report
    assert result.report.whole.status == "verified", result.report
    found = operators(result.model)
    assert {name: found[name] for name in counts} == dict(counts), found
    return result.model


def model(body: str, inputs: str, outputs: str, *, opset: int = 12) -> str:
    """A model as text."""
    return f'<ir_version: 7, opset_import: ["" : {opset}{CONTRIB}]> agraph ({inputs}) => ({outputs}) {{ {body} }}'
