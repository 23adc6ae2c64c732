"""Networks trained in parallel branches become the plain towers that they stand for."""

import pytest

import graphopt
from tests.bench import networks
from tests.support import operators

PIPELINE = "clean,fix(canonical,fold,fuse,clean,algebra)"


@pytest.mark.parametrize("group", [1, 2, 8])
def test_repvgg(group):
    result = graphopt.optimize(networks.repvgg(3, group=group), passes=PIPELINE, verify="full")
    assert operators(result.model) == {"Conv": 4, "Relu": 4}
    assert not result.report.rolled_back
    assert str(result.report.whole.status) == "verified"
    assert result.report.after.weight_bytes < result.report.before.weight_bytes


def test_mobileone():
    result = graphopt.optimize(networks.mobileone(2), passes=PIPELINE, verify="full")
    assert operators(result.model) == {"Conv": 5, "Relu": 5}
    assert not result.report.rolled_back
    assert str(result.report.whole.status) == "verified"
