"""Passes and rules as they describe themselves."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphopt.errors import UsageError
from graphopt.ir.words import listed
from graphopt.report.style import counted, indented, labelled, table, text

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from graphopt.pipeline.passes import Pass
    from graphopt.rewrite.rule import Rule


@dataclass(frozen=True)
class RuleEntry:
    """A rule: what it does, what it promises, the opset that it needs, the passes that have it, where it is written."""

    name: str
    doc: str
    contract: str
    opset: int
    passes: tuple[str, ...]
    module: str


@dataclass(frozen=True)
class PassEntry:
    """A pass with its options (name to description) and its rules. safe: whether it is within Exact and Close."""

    name: str
    doc: str
    safe: bool
    options: dict[str, str]
    rules: tuple[RuleEntry, ...]


@dataclass(frozen=True)
class Listing:
    """All passes, and the pipeline that runs by default."""

    default: str
    passes: tuple[PassEntry, ...]


Record = Listing | PassEntry | RuleEntry


def describe(found: Pass) -> PassEntry:
    """What a pass says of itself."""
    options = {option.name: option.doc for option in found.options}
    return PassEntry(
        found.name, found.doc, found.safe, options, tuple(describe_rule(r, (found.name,)) for r in found.rules)
    )


def describe_rule(rule: Rule, passes: tuple[str, ...]) -> RuleEntry:
    """What a rule says of itself."""
    return RuleEntry(rule.name, rule.doc, str(rule.numerics), rule.opset, passes, rule.apply.__module__)


def listing(passes: Iterable[Pass], default: str) -> Listing:
    """All of them."""
    return Listing(default, tuple(map(describe, passes)))


def rule_called(name: str, passes: Iterable[Pass]) -> RuleEntry:
    """The rule called `name`, with all passes that have it. Raises UsageError with the nearest names of both kinds."""
    passes = list(passes)
    homes = tuple(one.name for one in passes if any(rule.name == name for rule in one.rules))
    for one in passes:
        for rule in one.rules:
            if rule.name == name:
                return describe_rule(rule, homes)
    known = [*(one.name for one in passes), *(rule.name for one in passes for rule in one.rules)]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the passes are {listed((p.name for p in passes), 50)}"
    raise UsageError(f"there is no pass or rule {name!r}; {hint}")


def layout(record: Record) -> Group:
    """All passes, one of them or a rule for a console."""
    if isinstance(record, RuleEntry):
        return _layout_rule(record)
    return _layout_pass(record) if isinstance(record, PassEntry) else _layout_listing(record)


def _layout_listing(record: Listing) -> Group:
    from rich.console import Group

    grid = table("pass", "rules", "what it does", right=("rules",))
    for one in record.passes:
        grid.add_row(text(one.name, "bold"), str(len(one.rules) or ""), text(_first(one.doc)))
    default = f"By default: {record.default.replace(',', ', ')}"
    more = "More about one of them, or about a rule: graphopt passes NAME"
    return Group(grid, text(""), text(default, "dim"), text(more, "dim"))


def _layout_pass(record: PassEntry) -> Group:
    from rich.console import Group

    parts = [text(record.name, "bold"), indented(text(" ".join(record.doc.split())))]
    if record.options:
        options = table("option", "")
        for name, doc in record.options.items():
            options.add_row(text(f"{record.name}:{name}="), text(doc))
        parts.append(indented(options))
    if record.rules:
        parts.append(indented(_rules(record)))
    return Group(*parts)


def _rules(record: PassEntry) -> Table:
    grid = table(counted(len(record.rules), "rule"), "contract", "opset", "what it does", right=("opset",))
    for rule in record.rules:
        opset = str(rule.opset) if rule.opset > 1 else ""
        grid.add_row(text(rule.name, "bold"), text(rule.contract), opset, text(_first(rule.doc)))
    return grid


def _layout_rule(record: RuleEntry) -> Group:
    from rich.console import Group

    facts = {
        "promises": record.contract,
        "needs": f"opset {record.opset}" if record.opset > 1 else "",
        "part of": ", ".join(record.passes),
        "written in": record.module,
    }
    shown = labelled((name, fact) for name, fact in facts.items() if fact)
    return Group(text(record.name, "bold"), indented(text(" ".join(record.doc.split()))), indented(shown))


def _first(doc: str) -> str:
    """The first paragraph."""
    return " ".join(doc.split("\n\n", maxsplit=1)[0].split())
