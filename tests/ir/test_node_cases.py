"""Every model of onnx's own node cases survives reading and writing."""

from __future__ import annotations

import warnings

import onnx
import pytest

from graphopt.ir.reader import load
from graphopt.ir.writer import to_proto
from tests.ir.equal import assert_same


@pytest.fixture(scope="module")
def cases() -> dict[str, onnx.ModelProto]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return {case.name: case.model for case in collect_testcases(None)}


def test_all_survive(cases):
    assert len(cases) > 1800
    broken = {}
    for name, proto in cases.items():
        try:
            assert_same(proto, to_proto(load(proto.SerializeToString())))
        except Exception as error:  # the list of all that fail says more than the first
            broken[name] = f"{type(error).__name__}: {error}"[:300]
    assert not broken
