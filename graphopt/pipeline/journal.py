"""What happened in a compile: one entry for each rewrite, one for each pass. Plain values; reports are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from graphopt.rewrite.driver import Refusal


class Status(StrEnum):
    """The verdict on a rewrite or on a whole model."""

    VERIFIED = "verified"
    EVALUATED = "evaluated"
    """The replacement is what the reference runtime itself computed for the replaced nodes."""
    UNVERIFIED = "unverified"
    WRONG = "wrong"
    OFF = "off"
    OWED = "owed"
    """Not known yet; never in a report."""


KEPT = frozenset({Status.VERIFIED, Status.EVALUATED, Status.UNVERIFIED, Status.OFF, Status.OWED})


@dataclass(frozen=True)
class Verdict:
    """Outcome of one check.

    error: the measured difference in the contract's own unit (k for `Close`), None where there is none.
    detail: why it is wrong or unverified, in words.
    reproducer: the folder in which the fault can be seen again, "" if none was written.
    """

    status: Status
    error: float | None = None
    detail: str = ""
    reproducer: str = ""


Owed = Callable[[], Verdict]
"""A verdict that is still being worked out; the call waits for it."""


@dataclass(frozen=True)
class Entry:
    """One rewrite. place: operator and name of its root; number: its position among all rewrites of the compile."""

    number: int
    step: str
    rule: str
    place: str
    contract: str
    verdict: Verdict

    @property
    def kept(self) -> bool:
        """Whether the rewrite is part of the result."""
        return self.verdict.status in KEPT


@dataclass
class StepRecord:
    """One run of one pass: its text, nodes before and after, seconds, and hits by rule."""

    step: str
    nodes_before: int
    nodes_after: int
    seconds: float
    hits: dict[str, int]


@dataclass(frozen=True)
class Table:
    """Figures that a pass has to tell. rows: as many cells in each as there are columns. text: what they show."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    text: str = ""


@dataclass
class Journal:
    """Everything a compile noted, in order. refusals: the deepest reason for each rule and place."""

    entries: list[Entry] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def refuse(self, refusal: Refusal) -> None:
        """Keep the refusal if it is the deepest so far for its rule and place."""
        held = self.refusals.get((refusal.rule, refusal.root))
        if held is None or refusal.depth >= held.depth:
            self.refusals[refusal.rule, refusal.root] = refusal

    @property
    def rolled_back(self) -> list[Entry]:
        """The rewrites that were found wrong and left out."""
        return [entry for entry in self.entries if not entry.kept]

    @property
    def unverified(self) -> list[Entry]:
        """The rewrites that were kept though they could not be checked."""
        return [entry for entry in self.entries if entry.verdict.status is Status.UNVERIFIED]
