"""Rules with a mistake in them are caught on their region, blamed and undone alone; what else was done is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphopt import Builder, Close, Match, Rule
from graphopt.ir.types import Tensor
from passes.fuse.activation import gelu, prelu, sigmoid
from passes.fuse.activation.gelu import x as gelu_input
from passes.fuse.activation.prelu import slope
from passes.fuse.activation.prelu import x as prelu_input
from passes.fuse.norm import layer_norm, softmax
from passes.fuse.norm.layer_norm import beta, gamma
from passes.fuse.norm.layer_norm import x as norm_input
from passes.fuse.norm.softmax import x as softmax_input
from tests.passes.fuse.activation.test_gelu import PYTORCH as GELU
from tests.passes.fuse.activation.test_rectified import KERAS, SLOPES
from tests.passes.fuse.norm.test_layer_norm import PYTORCH as LAYER_NORM
from tests.passes.fuse.norm.test_layer_norm import WEIGHTS
from tests.passes.fuse.norm.test_softmax import SOFTMAX
from tests.passes.fuse.spelling import spelled
from tests.support import apply, operators

BESIDE = " n9 = Neg(x) e9 = Exp(n9) a9 = Add(e9, 1.0) z9 = Reciprocal(a9)"
"""A sigmoid, which a right rule fuses beside the wrong one."""


def approximate(m: Match, new: Builder) -> Tensor:
    return new.Gelu(m[gelu_input], approximate="tanh")


def another_epsilon(m: Match, new: Builder) -> Tensor:
    m.require(beta in m, "there is no bias")
    return new.LayerNormalization(m[norm_input], m[gamma], m[beta], epsilon=1e-3)


def another_axis(m: Match, new: Builder) -> Tensor:
    return new.Softmax(m[softmax_input], axis=0)


def another_sign(m: Match, new: Builder) -> Tensor:
    return new.PRelu(m[prelu_input], m[slope])


WRONG = [
    (replace(gelu, apply=approximate), GELU, {}, "float[n, 3, 8]"),
    (replace(layer_norm, apply=another_epsilon), LAYER_NORM, WEIGHTS, "float[n, 3, 8]"),
    (replace(softmax, apply=another_axis), SOFTMAX[2], {}, "float[4, 3, 8]"),
    (replace(prelu, apply=another_sign), KERAS, SLOPES, "float[n, 3, 2]"),
    (replace(gelu, numerics=Close(0)), GELU, {}, "float[n, 3, 8]"),
]


@pytest.mark.parametrize(("wrong", "body", "weights", "x"), WRONG)
def test_a_wrong_rule_is_blamed_and_undone_alone(wrong: Rule, body, weights, x):
    text = spelled(body + BESIDE, x=x).replace("] y)", f"] y, {x} z9)")
    result = apply([sigmoid, wrong], text, weights)
    assert [(entry.rule, entry.place) for entry in result.report.rolled_back] == [(wrong.name, place(body))]
    assert [entry.rule for entry in result.report.rewrites] == ["sigmoid"]
    assert operators(result.model)["Sigmoid"] == 1


def place(body: str) -> str:
    """The node that computes y."""
    return body.rpartition("y = ")[2].partition("(")[0] + " y"
