"""What each rule did, and how far it was from what it promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from graphopt.numerics.contract import Close, Lossy, parse_contract
from graphopt.pipeline.journal import Entry, Status
from graphopt.report.record import Report

WORDS = {
    Status.VERIFIED: "verified",
    Status.EVALUATED: "computed by the runtime",
    Status.UNVERIFIED: "unverified",
    Status.WRONG: "rolled back",
    Status.OFF: "not checked",
}


@dataclass(frozen=True)
class Kept:
    """All rewrites of one rule in one step under one contract, those that were rolled back among them.

    verdicts: how many of each status, in words. errors: the different errors that were measured, in the contract's
    own unit. bound: what the contract allows; None where it allows no difference at all.
    """

    step: str
    rule: str
    contract: str
    count: int
    verdicts: dict[str, int]
    errors: tuple[float, ...]
    bound: float | None

    @property
    def worst(self) -> float | None:
        """The largest error that was measured, or, of a metric, the lowest value."""
        lossy = isinstance(parse_contract(self.contract), Lossy)
        return (min if lossy else max)(self.errors, default=None)


def by_rule(report: Report) -> list[Kept]:
    """The rules that rewrote something or tried to, in the order in which they did first."""
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in sorted((*report.rewrites, *report.rolled_back), key=lambda entry: entry.number):
        groups.setdefault((entry.step, entry.rule, entry.contract), []).append(entry)
    return [_kept(step, rule, contract, entries) for (step, rule, contract), entries in groups.items()]


def _kept(step: str, rule: str, contract: str, entries: Iterable[Entry]) -> Kept:
    entries = list(entries)
    verdicts = Counter(WORDS[entry.verdict.status] for entry in entries)
    errors = sorted({entry.verdict.error for entry in entries if entry.verdict.error is not None})
    promise = parse_contract(contract)
    bound = promise.k if isinstance(promise, Close) else promise.floor if isinstance(promise, Lossy) else None
    return Kept(step, rule, contract, len(entries), dict(verdicts), tuple(errors), bound)
