"""Why a rule left places of a model alone, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphopt.ir import walk
from graphopt.ir.words import listed
from graphopt.pipeline import manager
from graphopt.pipeline.context import Context
from graphopt.pipeline.registry import Resolved
from graphopt.report.encode import to_json
from graphopt.report.style import counted, indented, sentence, text
from graphopt.rewrite.driver import Refusal, near_misses, rewrite_all
from graphopt.rewrite.rule import Rule
from graphopt.target import ORT, Target

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from graphopt.ir.model import Model

SCHEMA = 1
_WORD = re.compile(r"[^\s(),]+")


@dataclass(frozen=True)
class Reason:
    """Why a rule did not fire, and where. depth: how much of its pattern was there; reason: at the first place.

    places: where the rule would have begun. stopped: where it met what it did not expect.
    """

    depth: int
    reason: str
    places: tuple[str, ...]
    stopped: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """Where a rule fires in a model, and why nowhere else. before: the passes that ran first.

    unavailable: why the rule cannot be used in this model at all, "" if it can.
    """

    model: str
    rule: str
    doc: str
    contract: str
    before: str
    fires: tuple[str, ...]
    reasons: tuple[Reason, ...]
    unavailable: str
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The record as JSON text."""
        return to_json(self)


def account(model: Model, rule: Rule, before: Resolved, text_before: str, target: Target = ORT) -> Account:
    """Run `before` over the model, then the rule until it fits nowhere, and ask why. Verifies nothing.

    The model is changed.
    """
    job = manager.Compile(source=lambda: model, pipeline=before, structure=False, target=target)
    context = manager.run(job).context
    made = len(context.journal.entries)
    context.begin(rule.name)
    rewrite_all(context, [rule])
    fires = tuple(entry.place for entry in context.journal.entries[made:])
    refused = context.journal.refusals.get((rule.name, ""))
    missed = _missed(context, rule)
    return Account(
        model=str(model.path or model.graph.name),
        rule=rule.name,
        doc=rule.doc,
        contract=str(rule.numerics),
        before=text_before,
        fires=fires,
        reasons=_grouped(missed, _names(context)),
        unavailable="" if refused is None else refused.reason,
    )


def _missed(context: Context, rule: Rule) -> list[Refusal]:
    """For each place where the rule could begin in the model as it is now, why it goes no further."""
    context.begin(rule.name)
    context.journal.refusals.clear()
    for refusal in near_misses(context, rule):
        context.refuse(refusal)
    return [refusal for (name, place), refusal in context.journal.refusals.items() if name == rule.name and place]


def _names(context: Context) -> frozenset[str]:
    """Names of tensors and nodes, which differ from place to place where the reason is the same."""
    tensors = (tensor.name for tensor in walk.tensors(context.model.graph))
    operators, nodes = set(), set()
    for node in walk.nodes(context.model.graph):
        operators.add(node.op)
        nodes.add(node.name)
    return frozenset(nodes.union(tensors) - operators)


def _grouped(missed: list[Refusal], names: frozenset[str]) -> tuple[Reason, ...]:
    """One reason for all places that say the same but for names, the deepest first."""
    groups: dict[tuple[int, str], list[Refusal]] = {}
    for refusal in missed:
        alike = _WORD.sub(lambda word: "*" if word[0] in names else word[0], refusal.reason)
        groups.setdefault((-refusal.depth, alike), []).append(refusal)
    order = sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1])))
    return tuple(
        Reason(-depth, refusals[0].reason, tuple(r.root for r in refusals), tuple(r.node for r in refusals))
        for (depth, _), refusals in order
    )


def layout(record: Account, most: int) -> Group:
    """The account for a console; at most `most` reasons."""
    from rich.console import Group

    first = f", after {record.before}" if record.before else ""
    parts: list[RenderableType] = [text(f"{record.rule} in {record.model}{first}", "bold")]
    parts.append(text(" ".join(record.doc.split()), "dim"))
    if record.unavailable:
        parts.append(indented(text(sentence(f"It cannot be used here: it {record.unavailable}"), "yellow")))
        return Group(*parts)
    fires = f"It fires in {counted(len(record.fires), 'place')}: {listed(record.fires)}."
    parts.append(indented(text(fires if record.fires else "It fires nowhere.", "green" if record.fires else "")))
    if not record.reasons:
        nowhere = "Nothing else in the model looks like it." if record.fires else "Nothing in the model looks like it."
        parts.append(indented(text(nowhere)))
    parts += [indented(_reason(reason)) for reason in record.reasons[:most]]
    if len(record.reasons) > most:
        left = counted(len(record.reasons) - most, "more reason")
        parts.append(indented(text(f"... and {left} (--limit)", "dim")))
    return Group(*parts)


def _reason(reason: Reason) -> RenderableType:
    from rich.console import Group

    where = f"at {reason.places[0]}" + (f", seen from {reason.stopped[0]}" if _elsewhere(reason) else "")
    more = f", and in {counted(len(reason.places) - 1, 'place')} more alike" if len(reason.places) > 1 else ""
    return Group(text(sentence(reason.reason), "yellow"), text(f"  {where}{more}"))


def _elsewhere(reason: Reason) -> bool:
    return reason.stopped[0] not in ("", reason.places[0])
