"""Running a pipeline: pass after pass, checked after each; and, when something is wrong, finding the one rewrite.

A compile is a pure function of its input, its pipeline and the rewrites left out. So a fault that shows only in the
whole model is found by bisection over the number of rewrites made, that one is left out, and the rest is done again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graphopt.errors import PassError, VerificationError
from graphopt.ir.garbage import uncollected
from graphopt.ir.model import Model
from graphopt.numerics.run import Runner
from graphopt.pipeline.context import Check, Context, Key, Limits, Resources
from graphopt.pipeline.journal import Entry, Status, StepRecord, Verdict
from graphopt.pipeline.registry import Bound, BoundFix, Resolved
from graphopt.pipeline.structure import difference, fault, interface
from graphopt.target import ORT, Target

MAX_ROUNDS = 20
"""Rounds of a `fix(...)` after which it is taken not to terminate."""
MAX_REPAIRS = 16
"""Rewrites that may be found wrong in the whole model before the compile gives up."""


class Observer(Protocol):
    """Hears of a compile as it happens. Every method may do nothing."""

    def pass_begins(self, context: Context, step: str) -> None:
        """A pass is about to run."""

    def pass_ends(self, context: Context, record: StepRecord) -> None:
        """A pass has run and its result was checked."""

    def message(self, text: str) -> None:
        """Something else worth telling while it happens."""


@dataclass(frozen=True)
class Compile:
    """What to do.

    source: gives the input model anew each time.
    begin: sees each attempt before its first pass.
    left_out: rewrites that are not to be made.
    check: the region check, or None. ahead: the same, where the verdict may come later; None if it never may.
    whole: the comparison of the whole result with the input, or None.
    runner: what passes compute with; this process if None. target: where the model is to run. resources: what lossy
    passes work with.
    """

    source: Callable[[], Model]
    pipeline: Resolved
    begin: Callable[[Context], None] | None = None
    check: Check | None = None
    ahead: Check | None = None
    whole: Callable[[Context], Verdict] | None = None
    bindings: Sequence[Mapping[str, int]] = ()
    structure: bool = True
    fuel: int | None = None
    left_out: Collection[Key] = ()
    observers: Sequence[Observer] = ()
    runner: Runner | None = None
    target: Target = ORT
    resources: Resources = field(default_factory=Resources)


@dataclass
class Outcome:
    """What came of it: the final context, the verdict on the whole, and the rewrites blamed for wrong wholes.

    left_out: those, and what the compile was told to leave out: with these it comes to the same result again.
    """

    context: Context
    whole: Verdict
    blamed: list[Entry] = field(default_factory=list)
    left_out: list[Key] = field(default_factory=list)


class _Fault(Exception):
    """The structure of the model is broken after the pass `step`."""

    def __init__(self, step: str, reason: str, context: Context) -> None:
        super().__init__(f"pass {step}: {reason}")
        self.context, self.reason = context, reason


def run(job: Compile) -> Outcome:
    """Do it. Raises VerificationError if no single rewrite explains a wrong whole; PassError if a pass breaks the
    model's structure by itself, or does not terminate.
    """
    left_out: list[Key] = [*job.left_out]
    blamed: list[Entry] = []
    with uncollected():
        for _ in range(MAX_REPAIRS):
            try:
                limits = Limits(left_out, job.fuel)
                context = (None if blamed else _ahead(job, limits)) or _attempt(job, limits, job.check)
                whole = _compared(job, context)
                context_at_fault, reason = context, whole.detail
            except _Fault as broken:
                whole = Verdict(Status.WRONG, detail=str(broken))
                context_at_fault, reason = broken.context, str(broken)
            if whole.status is not Status.WRONG:
                return Outcome(context, whole, blamed, left_out)
            for observer in job.observers:
                observer.message(f"looking for the rewrite at fault: {reason}")
            number = _first_wrong(job, left_out, len(context_at_fault.keys), reason)
            key = context_at_fault.keys[number]
            entry = next(e for e in context_at_fault.journal.entries if e.number == number and e.kept)
            blamed.append(
                Entry(number, entry.step, entry.rule, entry.place, entry.contract, Verdict(Status.WRONG, detail=reason))
            )
            left_out.append(key)
    raise VerificationError(f"gave up after {MAX_REPAIRS} rewrites were found wrong, the last: {blamed[-1].rule}")


def _compared(job: Compile, context: Context) -> Verdict:
    if job.whole is None:
        return Verdict(Status.OFF)
    for observer in job.observers:
        observer.message("comparing the whole model with the original")
    return job.whole(context)


def _first_wrong(job: Compile, left_out: Sequence[Key], made: int, reason: str) -> int:
    """The number of the first rewrite with which the result is wrong, by bisection."""

    def wrong(fuel: int) -> bool:
        try:
            context = _attempt(job, Limits(left_out, fuel), job.check)
        except _Fault:
            return True
        return job.whole is not None and job.whole(context).status is Status.WRONG

    if made == 0 or wrong(0):
        raise PassError(f"wrong without any rewrite: {reason}")
    low, high = 0, made
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wrong(middle) else (middle, high)
    return high - 1


def _ahead(job: Compile, limits: Limits) -> Context | None:
    """An attempt that goes on while its regions are run. None if that was too bold: it has to be done step by step."""
    if job.ahead is None:
        return None
    try:
        context = _attempt(job, limits, job.ahead)
    except (_Fault, PassError):
        return None
    return context if context.settle() else None


def _attempt(job: Compile, limits: Limits, check: Check | None) -> Context:
    context = Context(job.source(), check, limits, job.runner, job.bindings, job.target, job.resources)
    if job.begin:
        job.begin(context)
    for item in job.pipeline:
        _run_item(job, context, item)
    return context


def _run_item(job: Compile, context: Context, item: Bound | BoundFix) -> None:
    """Run a step, or a fix(...) until a round changes nothing; nesting is bounded by the parser."""
    if isinstance(item, Bound):
        _run_pass(job, context, item)
        return
    settled: dict[int, int] = {}
    for _ in range(MAX_ROUNDS):
        before = context.editor.revision
        for index, inner in enumerate(item.body):
            if settled.get(index) != context.editor.revision:
                _run_item(job, context, inner)
                settled[index] = context.editor.revision
        if context.editor.revision == before:
            return
    raise PassError(f"fix(...) still changes the model after {MAX_ROUNDS} rounds")


def _run_pass(job: Compile, context: Context, bound: Bound) -> None:
    for observer in job.observers:
        observer.pass_begins(context, bound.text)
    before, made, started = interface(context.model), len(context.keys), time.perf_counter()
    nodes, revision = len(context.editor.home), context.editor.revision
    context.begin(bound.text)
    if context.settled.get(bound.text) != revision:
        bound.run.run(context, bound.options)
        context.editor.flush()
        if bound.run.safe and context.editor.revision == revision:
            context.settled[bound.text] = revision
    if job.structure:
        changed = difference(before, interface(context.model)) if bound.run.keeps_interface else None
        reason = changed or (fault(context.model.graph) if context.editor.revision != revision else None)
        if reason:
            raise _Fault(bound.text, reason, context)
    hits = Counter(rule for rule, _, _ in context.keys[made:])
    seconds = time.perf_counter() - started
    record = StepRecord(bound.text, nodes, len(context.editor.home), seconds, dict(hits))
    context.journal.steps.append(record)
    for observer in job.observers:
        observer.pass_ends(context, record)
