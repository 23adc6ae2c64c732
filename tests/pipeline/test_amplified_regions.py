"""Regions that amplify rounding errors are judged by how much they do; a wrong rule gains nothing from that."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt import Close, Value, op, rule
from tests.support import apply

a, b = Value("a"), Value("b")
SCORES = "agraph (float[256, 4] x, float[4, 64] w) => (float[256, 64] y) { s = MatMul(x, w) y = Softmax<axis = -1>(s) }"


def scaled(factor: float, back: float):
    """A rule that scales one operand of the scores of a Softmax, and the other one back."""

    @rule(op.Softmax(op.MatMul(a, b)), numerics=Close(1))
    def rescaled(m, new):
        m.require(m[a].producer is None, "once is enough")
        left, right = (new.Mul(m[part], np.float32(one)) for part, one in ((a, factor), (b, back)))
        return new.Softmax(new.MatMul(left, right), axis=-1)

    return rescaled


def test_large_scores_may_round_to_another_winner():
    report = apply(scaled(3, 1 / 3), SCORES).report
    (entry,) = report.rewrites
    assert "by which the original itself amplifies a rounding error" in entry.verdict.detail


@pytest.mark.parametrize("wrong", [1.001, 0.5])
def test_a_wrong_factor_is_caught_all_the_same(wrong):
    (entry,) = apply(scaled(3, wrong / 3), SCORES).report.rolled_back
    assert entry.rule == "rescaled"
