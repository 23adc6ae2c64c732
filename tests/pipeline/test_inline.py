"""Functions of the model are kept, and inlined on request."""

from __future__ import annotations

import graphopt
from tests.support import operators, proto

TEXT = """<ir_version: 10, opset_import: ["": 21, "local": 1]>
agraph (float[N, 4] x) => (float[N, 4] y) { a = local.twice(x) y = local.twice(a) }
<domain: "local", opset_import: ["": 21]>
twice (a) => (c) { b = Relu(a) c = Relu(b) }"""


def test_functions_are_kept():
    result = graphopt.optimize(proto(TEXT), passes="clean")
    assert operators(result.model) == {"twice": 2}
    assert [function.name for function in result.model.functions] == ["twice"]


def test_functions_are_inlined_on_request_and_their_bodies_optimised():
    result = graphopt.optimize(proto(TEXT), passes="clean", inline=True)
    assert operators(result.model) == {"Relu": 1}
    assert not result.model.functions
    assert result.report.whole.status == "verified"
