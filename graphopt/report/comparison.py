"""Two models on the same inputs, side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import numpy as np

from graphopt.analysis.binding import bindings, uniform_bindings
from graphopt.analysis.shapes import Shapes
from graphopt.errors import ModelError, UsageError
from graphopt.ir import dtypes, walk
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor
from graphopt.ir.words import listed, quoted
from graphopt.numerics import compare, metrics
from graphopt.numerics.contract import Contract
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.feeds import feeds as feeds_of
from graphopt.numerics.inputs import Feeds, fitting, input_specs, required
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.numerics.region import Unverifiable
from graphopt.numerics.run import Runner
from graphopt.report.encode import to_json
from graphopt.report.record import Size, measure

SCHEMA = 1
SECONDS = 600.0
"""Time that one model may take on one set of inputs."""

Array = np.ndarray[Any, Any]
Verdict = Literal["agree", "differ", "unverified"]


@dataclass(frozen=True)
class OutputDifference:
    """One output on one set of inputs.

    largest: of the absolute elements of A; max_abs: of the difference. k: the difference in rounding errors.
    sqnr: in dB. None where a number does not apply (texts, sequences, shapes that differ).
    """

    output: str
    feed: str
    type: str
    largest: float | None
    max_abs: float | None
    k: float
    sqnr: float | None
    cosine: float | None
    compared: int
    ok: bool
    reason: str


@dataclass(frozen=True)
class SideBySide:
    """What came of a comparison. feeds: names of the sets of inputs; differences: output by output for each of them."""

    a: str
    b: str
    sizes: tuple[Size, Size]
    contract: str
    verdict: Verdict
    reason: str
    feeds: tuple[str, ...]
    differences: tuple[OutputDifference, ...]
    notes: tuple[str, ...]
    seconds: float
    schema: int = SCHEMA

    def worst(self) -> list[OutputDifference]:
        """For each output the set of inputs on which it differs most."""
        found: dict[str, OutputDifference] = {}
        for one in self.differences:
            held = found.get(one.output)
            if held is None or (not one.ok, one.k) > (not held.ok, held.k):
                found[one.output] = one
        return list(found.values())

    def to_json(self) -> str:
        """The record as JSON text."""
        return to_json(self)


def side_by_side(
    a: Model, b: Model, contract: Contract, runner: Runner, *, given: Mapping[str, Feeds] | None = None, seed: int = 0
) -> SideBySide:
    """Run two models, read from files, on the same inputs and compare every output by `contract`.

    given: sets of inputs by name; without any, seeded ones at two bindings of the free dimensions, or, where A does
        not run with different sizes, at equal ones.
    Raises UsageError if the interfaces cannot be compared or the inputs do not fit, ModelError if A cannot be run.
    """
    started = time.perf_counter()
    notes = check_interfaces(a, b)
    ways = [{name: fitting(a, name, one) for name, one in given.items()}] if given else seeded(a, seed)
    feeds, expected = _expected(a, ways, runner)
    names = [output.name for output in a.graph.outputs]
    differences: list[OutputDifference] = []
    failure = ""
    for (name, one), reference in zip(feeds.items(), expected, strict=True):
        found = _outputs(b, one, runner, names)
        if isinstance(found, RunFailure):
            failure = f"{b.path} cannot be run ({name}): {found.reason}"
            break
        outputs = zip(names, reference, found, strict=True)
        differences += [difference(output, name, old, new, contract) for output, old, new in outputs]
    verdict, reason = _judge(a, differences, failure)
    return SideBySide(
        a=str(a.path),
        b=str(b.path),
        sizes=(measure(a), measure(b)),
        contract=str(contract),
        verdict=verdict,
        reason=reason,
        feeds=tuple(feeds),
        differences=tuple(differences),
        notes=tuple(notes),
        seconds=time.perf_counter() - started,
    )


def _expected(model: Model, ways: Sequence[dict[str, Feeds]], runner: Runner) -> tuple[dict[str, Feeds], list[Any]]:
    """The first way in which the model runs on all sets of inputs, and its outputs. Raises ModelError if none is."""
    first = None
    for way in ways:
        outputs = {name: _outputs(model, one, runner) for name, one in way.items()}
        failed = [(name, found) for name, found in outputs.items() if isinstance(found, RunFailure)]
        if not failed:
            return way, list(outputs.values())
        first = first or failed[0]
    name, failure = first or ("", RunFailure("failed", "there are no inputs"))
    raise ModelError(f"{model.path} cannot be run ({name}): {failure.reason}")


def difference(output: str, feed: str, old: object, new: object, contract: Contract) -> OutputDifference:
    """How far one output is from the reference."""
    verdict = compare.compare([old], [new], contract, names=[output])
    largest = max_abs = sqnr = cosine = None
    if _numeric(old) and _numeric(new) and (old.shape, old.dtype) == (new.shape, new.dtype):
        finite = np.abs(metrics.flat(old).astype(np.float64))
        largest = float(finite.max(initial=0.0, where=np.isfinite(finite)))
        max_abs, sqnr, cosine = (metrics.measure(old, new, metric) for metric in ("max_abs", "sqnr", "cosine"))
    numbers = (largest, max_abs, verdict.k, sqnr, cosine)
    return OutputDifference(output, feed, _type(old), *numbers, verdict.compared, verdict.ok, verdict.reason)


def _judge(model: Model, differences: Sequence[OutputDifference], failure: str) -> tuple[Verdict, str]:
    """The verdict and why. failure: why B could not be run, "" if it could."""
    if failure:
        return "differ", failure
    random = next((node for node in walk.nodes(model.graph) if nondeterministic(node)), None)
    if random is not None:
        return "unverified", f"the model draws random numbers: {random!r}"
    wrong = [one for one in differences if not one.ok]
    if wrong:
        return "differ", max(wrong, key=lambda one: one.k).reason
    if not sum(one.compared for one in differences):
        return "unverified", "no finite number was there to be compared"
    return "agree", ""


def _outputs(model: Model, feeds: Feeds, runner: Runner, names: Sequence[str] | None = None) -> Any:
    try:
        return runner.run(str(model.path), feeds, outputs=names, limit_s=SECONDS)
    except RunFailure as failure:
        return failure


def _numeric(value: object) -> TypeGuard[Array]:
    """Whether a value is an array of numbers."""
    return isinstance(value, np.ndarray) and value.dtype.kind not in "OUS"


def _type(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{dtypes.name(value.dtype)}{list(value.shape)}"
    return "nothing" if value is None else "sequence" if isinstance(value, list) else type(value).__name__


# ---- inputs ----


def check_interfaces(a: Model, b: Model) -> list[str]:
    """What differs but does no harm. Raises UsageError for what makes the two models incomparable."""
    here, there = required(a), required(b)
    for name, model, other in ((n, b, there) for n in here if n not in there):
        raise UsageError(f"{model.path} has no input {quoted(name)}; it has {listed(map(quoted, other))}")
    for name in there.keys() - here.keys():
        raise UsageError(f"{b.path} needs an input {quoted(name)}, which {a.path} does not have")
    for name, tensor in here.items():
        _check_input(name, tensor, there[name])
    outputs = [tensor.name for tensor in b.graph.outputs]
    for tensor in a.graph.outputs:
        if tensor.name not in outputs:
            raise UsageError(f"{b.path} has no output {quoted(tensor.name)}; it has {listed(map(quoted, outputs))}")
    more = [quoted(name) for name in outputs if name not in {tensor.name for tensor in a.graph.outputs}]
    return [f"{b.path} has outputs that {a.path} does not have: {listed(more)}"] if more else []


def _check_input(name: str, one: Tensor, other: Tensor) -> None:
    if one.dtype is not None and other.dtype is not None and one.dtype != other.dtype:
        kinds = f"{dtypes.name(one.dtype)} in one model and {dtypes.name(other.dtype)} in the other"
        raise UsageError(f"the models cannot be compared: input {quoted(name)} is {kinds}")
    if one.shape is None or other.shape is None:
        return
    clash = len(one.shape) != len(other.shape) or any(
        isinstance(d, int) and isinstance(e, int) and d != e for d, e in zip(one.shape, other.shape, strict=True)
    )
    if clash:
        raise UsageError(
            f"the models cannot be compared: input {quoted(name)} has shape {list(one.shape)} in one and "
            f"{list(other.shape)} in the other"
        )


def seeded(model: Model, seed: int) -> list[dict[str, Feeds]]:
    """Ways to draw inputs from `seed`: at two bindings of the free dimensions, or at equal sizes; named by them."""
    groups = [bindings(model), *([binding] for binding in uniform_bindings(model))]
    return [{_at(seed, binding): _drawn(model, binding, seed) for binding in group} for group in groups]


def _at(seed: int, binding: Mapping[str, int]) -> str:
    return ", ".join([f"seed {seed}", *(f"{name}={number}" for name, number in binding.items())])


def _drawn(model: Model, binding: Mapping[str, int], seed: int) -> Feeds:
    try:
        return feeds_of(input_specs(model, Shapes(model, binding)), seed)
    except Unverifiable as reason:
        raise UsageError(f"no inputs can be made up for {model.path}: {reason}; give some with --feeds") from reason
