"""One compile, from what the user gave to the result and its report."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.analysis.binding import binding_of, bindings
from graphopt.budget.kept import Kept
from graphopt.errors import BudgetError, UsageError
from graphopt.ir.external import bytes_on_disk
from graphopt.ir.inline import inline_functions
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.schema import checked
from graphopt.ir.types import Array
from graphopt.measure.environment import versions
from graphopt.numerics.ahead import Ahead
from graphopt.numerics.contract import combined, parse_contract
from graphopt.numerics.inputs import fitting
from graphopt.numerics.process import Process
from graphopt.pipeline import manager
from graphopt.pipeline.context import Resources
from graphopt.pipeline.level import Level
from graphopt.pipeline.passes import Pass, rule_pass
from graphopt.pipeline.registry import Bound, Registry, Resolved, check_requirements
from graphopt.pipeline.reproducer import prepare
from graphopt.pipeline.text import Pipeline, parse
from graphopt.pipeline.verify import Verifier
from graphopt.report.record import Report, Size, measure
from graphopt.rewrite.rule import Rule
from graphopt.target import Target, advice, target_named

if TYPE_CHECKING:
    from graphopt.budget import Budget
    from graphopt.data.source import Data
    from graphopt.measure.metrics import Metric
    from graphopt.numerics.run import Runner

Passes = str | Pipeline | Sequence[str | Rule | Pass]

RUN_BYTES, WEIGHT_COPIES = 2 << 30, 8
"""What the process for reference runs may allocate: so many bytes, and so many times those of the model's files.
Some of it holds activations. A model that asks for more than any real one does is not run, and unverified."""


@dataclass(frozen=True)
class Result:
    """model: the optimised model (`.save(path)`, `.to_proto()`). report: what was done, and how far it was checked."""

    model: Model
    report: Report


@dataclass(frozen=True)
class Asked:
    """The arguments of `graphopt.optimize`, which says what they mean."""

    source: object
    passes: Passes
    verify: str | Level
    seed: int
    limit: int | None
    feeds: Mapping[str, Array] | None
    reproducers: str | Path | None
    plugins: Sequence[str]
    observers: Sequence[manager.Observer]
    runner: Runner | Process | None
    allow_outside: bool
    inline: bool
    target: str | Target
    budget: Budget | None
    data: Data | str | Path | None
    metric: Metric | str | None
    calibration: Data | str | Path | None


def compiled(asked: Asked) -> Result:
    """What `graphopt.optimize` gives."""
    started = time.perf_counter()
    level = _level(asked.verify)
    _check_arguments(seed=asked.seed, limit=asked.limit, plugins=asked.plugins)
    where = target_named(asked.target)
    text, resolved = _resolve(asked.passes, Registry(asked.plugins))
    runner, ahead = _runner(asked.runner)
    if level in (Level.REGION, Level.FULL):
        runner.start()
    try:
        read, original = _source(asked.source, allow_outside=asked.allow_outside)
        fresh: Callable[[], Model] = (lambda: inline_functions(read())) if asked.inline else read
        first = fresh()
        checked(first)
        check_requirements(resolved, first)
        feeds = asked.feeds
        if feeds is not None:
            feeds = fitting(first, "feeds", {name: np.asarray(array) for name, array in feeds.items()})
        before = replace(measure(first), file_bytes=bytes_on_disk(first))
        if ahead is not None:
            ahead.limit_memory(RUN_BYTES + WEIGHT_COPIES * (before.file_bytes or before.weight_bytes))
        folder = Path(asked.reproducers) if asked.reproducers else None
        if folder:
            prepare(folder)
        verifier = Verifier(runner, fresh, original, level, asked.seed, folder, feeds, ahead)
        job = _job(
            first, verifier, resolved, bindings=_bindings(first, feeds), fuel=asked.limit, observers=asked.observers,
            target=where, resources=_resources(asked, first, verifier.source),
        )  # fmt: skip
        kept = _kept(job, asked, first)
    finally:
        (ahead or runner).close()
    name = str(asked.source) if isinstance(asked.source, str | Path) else first.graph.name or "model"
    seconds = time.perf_counter() - started
    report = _report(name, text, level, before, kept, verifier.checked, seconds)
    return _within(Result(kept.outcome.context.model, report))


def _runner(given: Runner | Process | None) -> tuple[Runner, Ahead | None]:
    """The user's own runner; else the best here, and what has it run regions while the compile goes on, if it can."""
    if not (given is None or isinstance(given, Process)):
        return given, None
    from graphopt.numerics.worker import Worker, best_runner

    runner = best_runner(given)
    return runner, Ahead(runner) if isinstance(runner, Worker) else None


def _resources(asked: Asked, first: Model, original: Callable[[], Model]) -> Resources:
    """What lossy passes work with, but for the goal. Raises UsageError for data that does not fit the model."""

    def tell(text: str) -> None:
        for observer in asked.observers:
            observer.message(text)

    given = asked.data if asked.calibration is None else asked.calibration
    if given is not None:
        from graphopt.data.opening import open_data

        given = open_data(given, first)
    return Resources(given, seed=asked.seed, original=original, tell=tell, judged=asked.calibration is None)


def _kept(job: manager.Compile, asked: Asked, first: Model) -> Kept:
    """The compile, within the budget where there is one."""
    source, budget = asked.source, asked.budget
    if budget is None and asked.data is None and asked.metric is None:
        return Kept(manager.run(job))
    from graphopt.budget.clock import Stopwatch
    from graphopt.budget.gauge import Gauge, goal_of, judge_for
    from graphopt.budget.keep import keep_within
    from graphopt.budget.limits import Budget

    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        original = Path(source) if isinstance(source, str | Path) else Path(folder) / "original.onnx"
        if not isinstance(source, str | Path):
            first.save(original)
        judge = judge_for(original, first, asked.data, asked.metric, asked.seed)
        if judge is not None:
            job = replace(job, resources=replace(job.resources, goal=goal_of(judge, budget)))
        gauge = Gauge(original, Stopwatch(None if judge is None else judge.data, asked.seed), judge)
        return keep_within(budget or Budget(), job, gauge)


def _within(result: Result) -> Result:
    """The result, if it stays within its budget. Raises BudgetError if not."""
    budgeted = result.report.budget
    if budgeted is not None and not budgeted.met:
        from graphopt.report.budget_text import missed

        raise BudgetError(missed(budgeted), result)
    return result


def _job(first: Model, verifier: Verifier, pipeline: Resolved, **settings: Any) -> manager.Compile:
    """The compile of `first`, and of what `verifier.source` gives where it has to be done again."""
    waiting = [first]
    checked = verifier.level in (Level.REGION, Level.FULL)
    return manager.Compile(
        source=lambda: waiting.pop() if waiting else verifier.source(),
        pipeline=pipeline,
        begin=verifier.observe if checked else None,
        check=verifier.check if checked else None,
        ahead=verifier.check_ahead if checked and verifier.ahead is not None else None,
        whole=verifier.whole if checked else None,
        structure=verifier.level is not Level.OFF,
        runner=verifier.runner,
        **settings,
    )


def _bindings(model: Model, feeds: Mapping[str, Array] | None) -> list[dict[str, int]]:
    """The sizes of free dimensions that the feeds have, and others; nothing without feeds."""
    if feeds is None:
        return []
    given = binding_of(model, {name: array.shape for name, array in feeds.items()})
    return [given, *bindings(model)[1:]]


def _level(verify: str | Level) -> Level:
    try:
        return Level(verify)
    except ValueError:
        known = ", ".join(level.value for level in Level)
        raise UsageError(f"there is no verification level {verify!r}; there are: {known}") from None


def _check_arguments(*, seed: object, limit: object, plugins: object) -> None:
    for name, value in (("seed", seed), ("limit", limit)):
        if not (isinstance(value, int | np.integer) and value >= 0) and not (name == "limit" and value is None):
            raise UsageError(f"{name} must be a whole number, at least 0, found {value!r}")
    if isinstance(plugins, str):
        raise UsageError(f"plugins must be a list of names of modules, not the text {plugins!r}")


def _resolve(passes: Passes, registry: Registry) -> tuple[str, Resolved]:
    if isinstance(passes, str | Pipeline):
        pipeline = passes if isinstance(passes, Pipeline) else parse(passes)
        return str(pipeline), registry.resolve(pipeline)
    if not isinstance(passes, Iterable):
        raise UsageError(f"passes must be a pipeline's text, or a list of names, rules and passes, not {passes!r}")
    texts: list[str] = []
    resolved: list[Resolved] = []
    for one in passes:
        if isinstance(one, str):
            text, bound = _resolve(one, registry)
        else:
            made = _as_pass(one)
            text, bound = made.name, (Bound(made, {}, made.name),)
        texts.append(text)
        resolved.append(bound)
    return ",".join(texts), tuple(step for part in resolved for step in part)


def _as_pass(one: object) -> Pass:
    if isinstance(one, Rule):
        return rule_pass(one.name, one.doc, [one])
    if isinstance(one, Pass):
        return one
    raise UsageError(f"a pipeline holds names, rules and passes, not {one!r}")


def _source(source: object, *, allow_outside: bool) -> tuple[Callable[[], Model], Callable[[], str | bytes]]:
    """What gives the input model anew each time, and what the runner takes as the original."""
    import onnx

    if isinstance(source, str | Path):
        path = Path(source)
        return lambda: load(path, allow_outside=allow_outside), lambda: str(path)
    proto = source.to_proto() if isinstance(source, Model) else source
    if not isinstance(proto, onnx.ModelProto):
        raise UsageError(f"a model is a path, an onnx.ModelProto or a graphopt Model, not {proto!r}")
    return lambda: load(proto), proto.SerializeToString


def _report(
    name: str, text: str, level: Level, before: Size, kept_within: Kept, checked: int, seconds: float
) -> Report:
    outcome = kept_within.outcome
    context = outcome.context
    journal = context.journal
    kept = tuple(entry for entry in journal.entries if entry.kept)
    after = measure(context.model)
    return Report(
        model=name,
        pipeline=text,
        level=str(level),
        before=before,
        after=after,
        steps=tuple(journal.steps),
        rewrites=kept,
        rolled_back=(*journal.rolled_back, *outcome.blamed),
        unverified=tuple(journal.unverified),
        whole=outcome.whole,
        refusals=tuple(journal.refusals.values()),
        notes=(*journal.notes, *advice(context.target, before.operators, after.operators)),
        tables=tuple(journal.tables),
        contract=str(combined(parse_contract(entry.contract) for entry in kept) or "none"),
        seconds=seconds,
        regions_checked=checked,
        versions=versions(),
        budget=kept_within.budgeted,
        evaluation=kept_within.evaluation,
        bench=kept_within.bench,
    )
