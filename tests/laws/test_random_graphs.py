"""Laws over random models: whatever the pipeline, the result is valid, equal, no larger, settled and deterministic."""

from __future__ import annotations

import math
import random
import re
import warnings

import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import graphopt
from graphopt.ir.reader import load
from graphopt.numerics.compare import compare
from graphopt.numerics.contract import parse_contract
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.run import InProcess, run
from graphopt.numerics.sensitivity import amplification, hidden_roundings
from graphopt.target.target import UNOFFICIAL
from passes.fold.growth import SLACK
from tests.laws.random_graphs import Case, random_model


def examples(count: int) -> settings:
    """So many, the same every time. A seed has no simpler one, so there is nothing to shrink."""
    phases, checks = (Phase.generate,), list(HealthCheck)
    return settings(
        max_examples=count, derandomize=True, database=None, deadline=None, phases=phases, suppress_health_check=checks
    )


SEEDS = st.integers(0, 2**32 - 1)
STEPS = (
    "clean", "canonical", "fold", "fuse", "freeze", "clean,fuse", "fix(canonical,clean)", "fix(fold,fuse,clean)",
    "positions", "attention", "layout", "algebra", "blocks", "fix(layout,algebra,fuse)",
    "fix(canonical,attention,blocks)", "blocks:only=merged_products+conv_add_relu", "strip",
)  # fmt: skip
OVERFLOW = re.compile(r": (nan|-?inf) became -?\d")
"""The original overflows on the verifier's inputs where the fused operator does not: undone, but no fault of a rule."""


def random_pipeline(seed: int, opset: int) -> str:
    """Some passes in some order, now and then with a raised opset among them."""
    rng = random.Random(seed)
    steps = [rng.choice(STEPS) for _ in range(rng.randrange(1, 5))]
    if rng.random() < 0.3:
        steps.insert(rng.randrange(len(steps) + 1), f"opset:version={rng.randrange(opset, 25)}")
    return ",".join(steps)


def optimized(model: onnx.ModelProto, passes: str | None, verify: str, target: str = "ort") -> graphopt.Result:
    return graphopt.optimize(model, passes=passes, verify=verify, target=target, runner=InProcess())


def complaint(case: Case, passes: str | None, verify: str = "structure", target: str = "ort") -> str:
    """What is wrong with the result of a pipeline; "" if nothing is. An opset may be refused."""
    try:
        result = optimized(case.model, passes, verify, target)
    except graphopt.UsageError:
        assert "opset" in (passes or "")
        return ""
    return fault(case, passes, result)


def fault(case: Case, passes: str | None, result: graphopt.Result) -> str:
    """What is wrong with a result; "" if nothing is. An operator of a raised opset may lack a kernel."""
    raises = "opset" in (passes or "")
    report = result.report
    wrong = [entry for entry in report.rolled_back if not OVERFLOW.search(entry.verdict.detail)]
    if wrong and not (raises and "find an implementation" in wrong[0].verdict.detail):
        return "; ".join(f"rolled back {e.rule} at {e.place}: {e.verdict.detail}" for e in wrong)
    model = result.model.to_proto()
    if not UNOFFICIAL & {node.op_type for node in model.graph.node}:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            onnx.checker.check_model(model, full_check=True)
    if interface(model) != interface(case.model, overridable="freeze" not in (passes or "")):
        return "the interface changed"
    if report.after.weight_bytes > report.before.weight_bytes + SLACK:
        return f"weights grew from {report.before.weight_bytes} to {report.after.weight_bytes} bytes"
    try:
        return difference(case, model, report.contract, len(report.rewrites))
    except RunFailure as failure:
        if raises and failure.kind == "unsupported":
            return ""
        raise


def interface(model: onnx.ModelProto, *, overridable: bool = True) -> list[list[tuple[str, int]]]:
    """Names and types of inputs, with or without those that have a default, and outputs, in order."""
    defaults = set() if overridable else {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in defaults]
    return [[(v.name, v.type.tensor_type.elem_type) for v in part] for part in (inputs, model.graph.output)]


def difference(case: Case, model: onnx.ModelProto, contract: str, rewrites: int) -> str:
    """How the outputs of a model differ from those of the case, beyond the contract and the case's own sensitivity."""
    names = [output.name for output in case.model.graph.output]
    promised = parse_contract(contract)
    for feeds in case.feeds:
        before = run(case.model.SerializeToString(), feeds, outputs=names)
        after = run(model.SerializeToString(), feeds, outputs=names)
        verdict = compare(before, after, promised, names=names)
        if verdict.ok:
            continue
        model_before = load(case.model)
        allowed = verdict.bound + hidden_roundings(model_before, rewrites)
        if not math.isfinite(verdict.k) or not allowed:
            return verdict.reason
        factor = amplification(InProcess(), model_before, case.model.SerializeToString(), feeds, 0)
        if verdict.k > allowed * factor:
            return f"{verdict.reason} (amplification {factor:.3g})"
    return ""


@examples(150)
@given(SEEDS)
def test_the_default_pipeline_keeps_random_models_right(seed):
    case = random_model(seed)
    assert not complaint(case, None)


@examples(60)
@given(SEEDS)
def test_the_verifier_finds_nothing_to_undo(seed):
    case = random_model(seed)
    assert not complaint(case, None, "region")


@examples(150)
@given(SEEDS)
def test_any_pipeline_keeps_random_models_right(seed):
    case = random_model(seed)
    assert not complaint(case, random_pipeline(seed, case.model.opset_import[0].version))


@examples(100)
@given(SEEDS)
def test_a_second_run_changes_nothing_and_the_first_is_deterministic(seed):
    case = random_model(seed)
    first = optimized(case.model, None, "structure").model.to_proto().SerializeToString()
    assert optimized(case.model, None, "structure").model.to_proto().SerializeToString() == first
    second = optimized(onnx.load_from_string(first), None, "structure").model.to_proto().SerializeToString()
    assert second == first


@pytest.mark.parametrize("seed", range(3))
def test_models_are_the_same_every_time(seed):
    assert random_model(seed).model == random_model(seed).model
