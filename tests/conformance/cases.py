"""The node cases that the onnx package carries, as published and with inputs frozen into initializers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import graphopt
from graphopt.ir import walk
from graphopt.ir.reader import load
from graphopt.numerics.compare import Comparison, compare
from graphopt.numerics.contract import parse_contract
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.numerics.run import InProcess, run
from graphopt.numerics.sensitivity import amplification

VARIANTS = {
    "published": "nothing frozen",
    "all_but_first": "all but the first input frozen",
    "all": "all inputs frozen",
}


@dataclass(frozen=True)
class Case:
    """A model and what to feed it."""

    name: str
    model: onnx.ModelProto
    feeds: dict[str, Any]


def collect() -> list[Case]:
    """All node cases of the installed onnx package, by name."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    cases = []
    for case in found:
        names = [value.name for value in case.model.graph.input]
        inputs = case.data_sets[0][0]
        cases.append(Case(case.name, case.model, dict(zip(names, map(_value, inputs), strict=False))))
    return sorted(cases, key=lambda case: case.name)


def _value(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, np.generic):
        return np.asarray(value)
    return value


def frozen(case: Case, variant: str) -> Case:
    """The case with some inputs turned into initializers; values that are no tensors stay inputs."""
    if variant == "published":
        return case
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    model.ir_version = max(model.ir_version, 4)
    keep: list[onnx.ValueInfoProto] = []
    feeds: dict[str, Any] = {}
    for index, value in enumerate(case.model.graph.input):
        array = case.feeds.get(value.name)
        if (index == 0 and variant == "all_but_first") or not isinstance(array, np.ndarray):
            keep.append(value)
            feeds[value.name] = array
        else:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
    del model.graph.input[:]
    model.graph.input.extend(keep)
    return Case(f"{case.name}[{variant}]", model, feeds)


@dataclass(frozen=True)
class Outcome:
    """verdict: right, skipped (the runtime does not run the case), wrong, broken, refused or crashed."""

    name: str
    verdict: str
    detail: str = ""


def judge(case: Case, passes: str | None = None) -> Outcome:
    """Optimise the case and compare what ONNX Runtime makes of it with what it made of the original."""
    try:
        expected = run(case.model.SerializeToString(), case.feeds)
    except RunFailure as failure:
        return Outcome(case.name, "skipped", failure.reason)
    try:
        result = graphopt.optimize(case.model, passes=passes, runner=InProcess())
    except graphopt.GraphoptError as error:
        return Outcome(case.name, "refused", str(error))
    except Exception as error:
        return Outcome(case.name, "crashed", repr(error))
    report = result.report
    if report.rolled_back:
        return Outcome(case.name, "wrong", "; ".join(f"{e.rule}: {e.verdict.detail}" for e in report.rolled_back))
    try:
        names = [output.name for output in case.model.graph.output]
        found = run(result.model.to_proto().SerializeToString(), case.feeds, outputs=names)
    except RunFailure as failure:
        return Outcome(case.name, "broken", failure.reason)
    verdict = compare(expected, found, parse_contract(report.contract))
    right = verdict.ok or _random(case) or _within_sensitivity(case, verdict)
    return Outcome(case.name, "right" if right else "wrong", verdict.reason)


def _random(case: Case) -> bool:
    return any(nondeterministic(node) for node in walk.nodes(load(case.model).graph))


def _within_sensitivity(case: Case, verdict: Comparison) -> bool:
    """Whether the error is what the contract becomes by the model's own amplification of rounding errors."""
    if not math.isfinite(verdict.k) or not verdict.bound:
        return False
    model = case.model.SerializeToString()
    return verdict.k <= verdict.bound * amplification(InProcess(), load(case.model), model, case.feeds, 0)


def shard(cases: Sequence[Case], index: int, count: int) -> Sequence[Case]:
    """Every `count`-th case from `index` on."""
    return cases[index::count]
