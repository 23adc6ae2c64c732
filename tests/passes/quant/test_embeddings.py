"""Tables of embeddings in 8 bits, in the operators that the target has."""

from __future__ import annotations

import numpy as np
import pytest

from passes.quant import embeddings
from tests.support import apply, operators

LOOKUP = "agraph (int64[N, S] i) => (float[N, S, WIDTH] y) { y = Gather(t, i) }"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _small_tables_count(monkeypatch):
    monkeypatch.setattr(embeddings, "LEAST", 64)


def look_up(width, scheme="dynamic", table=None, **options):
    table = RNG.standard_normal((50, width)).astype(np.float32) if table is None else table
    return apply(f"quant:scheme={scheme}", LOOKUP.replace("WIDTH", str(width)), {"t": table}, **options)


@pytest.mark.parametrize("scheme", ["dynamic", "int8", "int4"])
@pytest.mark.parametrize(("width", "block"), [(16, 16), (96, 32), (256, 128)])
def test_rows_are_expanded_by_the_operator_that_looks_them_up(width, block, scheme):
    result = look_up(width, scheme)
    (node,) = result.model.graph.nodes
    assert (node.op, node.attrs["block_size"]) == ("GatherBlockQuantized", block)
    assert "verified" in {str(entry.verdict.status) for entry in result.report.rewrites}
    assert result.report.whole.error > 40


@pytest.mark.parametrize(("width", "target"), [(30, "ort"), (32, "portable")])
def test_without_such_an_operator_rows_are_multiplied_by_their_scale(width, target):
    result = look_up(width, target=target)
    assert operators(result.model) == {"Gather": 2, "Cast": 1, "Mul": 1}
    assert not result.report.rolled_back
    assert result.report.whole.error > 40


def test_lookups_in_one_table_share_it():
    text = "agraph (int64[N] i, int64[N] j) => (float[N, 32] a, float[N, 32] b) { a = Gather(t, i)  b = Gather(t, j) }"
    result = apply("quant:scheme=int8", text, {"t": (40, 32)})
    assert operators(result.model) == {"GatherBlockQuantized": 2}
    assert len(result.model.graph.initializers) == 3


def test_tables_that_are_not_finite_stay():
    result = look_up(32, table=np.full((50, 32), np.inf, np.float32))
    assert any("not all finite" in refusal.reason for refusal in result.report.refusals)
    assert not result.report.rewrites


def test_columns_that_are_looked_up_stay():
    text = "agraph (int64[N] i) => (float[40, N] y) { y = Gather<axis = 1>(t, i) }"
    result = apply("quant:scheme=int8", text, {"t": (40, 32)})
    assert any("does not look up rows" in refusal.reason for refusal in result.report.refusals)


def test_a_table_below_its_floor_is_undone():
    report = apply("quant:scheme=int8:floor=90", LOOKUP.replace("WIDTH", "32"), {"t": (40, 32)}).report
    assert "sqnr is" in report.rolled_back[0].verdict.detail
