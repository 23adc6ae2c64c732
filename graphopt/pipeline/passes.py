"""What a pass is: a name, a function over a compile's context, and its options."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from graphopt.errors import UsageError
from graphopt.rewrite.driver import rewrite_all

if TYPE_CHECKING:
    from graphopt.ir.model import Model
    from graphopt.pipeline.context import Context
    from graphopt.pipeline.survey import Found
    from graphopt.rewrite.rule import Rule

Options = Mapping[str, Any]


class Option(NamedTuple):
    """One option of a pass: `pass:name=value`. `parse` turns the text into a value, or raises ValueError."""

    name: str
    parse: Callable[[str], Any]
    doc: str


@dataclass(frozen=True, eq=False)
class Pass:
    """A named transformation.

    run: `(context, options)`; changes the model only through `context.apply` and the editor's methods.
    rules: the rules it applies, if it is made of rules; they can be chosen with `only=` and `skip=`.
    safe: whether it keeps within `Exact` and `Close`, so that the default pipeline may contain it.
    keeps_interface: whether the model looks the same from outside afterwards; a pass that changes inputs or outputs on
        purpose says so, and is in no default pipeline.
    native: whether its work depends on the processor of this machine, where the target does not name one.
    requires: what keeps the pass from running on a model with these options, in words; None if nothing does. Asked of
        every pass of a pipeline before any work.
    survey: the groups of things that it could take out of a model, and, where there are none, why; for
        `graphopt inspect --groups`.
    """

    name: str
    run: Callable[[Context, Options], None]
    doc: str
    rules: tuple[Rule, ...] = ()
    options: tuple[Option, ...] = ()
    safe: bool = True
    keeps_interface: bool = True
    native: bool = False
    requires: Callable[[Model, Options], str | None] = lambda _model, _options: None
    survey: Callable[[Model], tuple[Sequence[Found], str]] | None = None

    def option(self, name: str) -> Option:
        """The option called `name`. Raises UsageError with what there is."""
        for option in self.options:
            if option.name == name:
                return option
        known = ", ".join(option.name for option in self.options) or "none"
        raise UsageError(f"pass {self.name} has no option {name!r}; its options: {known}")


def names(text: str) -> tuple[str, ...]:
    """The names in `gelu+layer_norm`. Raises ValueError if one is empty."""
    parts = tuple(text.split("+"))
    if not all(parts):
        raise ValueError("expected names joined with +")
    return parts


def check_names(model: Model, wanted: Iterable[str]) -> None:
    """Raises UsageError for the name of a call or tensor that the model has none of, with the nearest that it has."""
    from graphopt.ir import walk

    given = list(wanted)
    if not given:
        return
    known = {name for node in walk.nodes(model.graph) for name in (node.name, *(t.name for t in node.outputs)) if name}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UsageError(f"no node or tensor is called {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))


def rule_pass(
    name: str,
    doc: str,
    rules: Sequence[Rule],
    finish: Callable[[Context], None] | None = None,
    late: Sequence[Rule] = (),
    optional: Sequence[Rule] = (),
) -> Pass:
    """A pass that applies `rules` until none fits, then `late` ones too, then calls `finish`.

    late: rules that would take apart what one of `rules` can make something better of.
    optional: rules that are right, but not what everybody wants; applied only when asked for.
    Its options `only=`, `skip=` and `also=` choose among the rules by name.
    """
    every = (*rules, *late, *optional)

    def choose(text: str) -> tuple[str, ...]:
        chosen = names(text)
        known = {rule.name for rule in every}
        for one in chosen:
            if one not in known:
                raise ValueError(f"pass {name} has no rule {one!r}; its rules: {', '.join(sorted(known))}")
        return chosen

    def run(context: Context, options: Options) -> None:
        only, skip, also = options.get("only"), options.get("skip", ()), options.get("also", ())
        usual = {rule.name for rule in every if rule not in optional} if only is None else {*only}
        chosen = [rule for rule in every if rule.name in usual.union(also).difference(skip)]
        early = [rule for rule in chosen if rule not in late]
        rewrite_all(context, early)
        if len(early) < len(chosen):
            rewrite_all(context, chosen)
        if finish is not None and only is None:
            finish(context)

    options: tuple[Option, ...] = (
        Option("only", choose, "apply only these rules, joined with +"),
        Option("skip", choose, "leave out these rules, joined with +"),
    )
    if optional:
        left_out = ", ".join(rule.name for rule in optional)
        options += (Option("also", choose, f"apply these rules too, joined with +: {left_out} only run when asked"),)
    return Pass(name, run, inspect.cleandoc(doc), every, options)
