"""Which passes exist: those of the `passes` package, of entry points `graphopt.passes`, and of `--plugin` modules.

Everything about a pipeline that can be wrong is found here, before any work.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from importlib import metadata
from typing import Any, NamedTuple

from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.pipeline.passes import Pass
from graphopt.pipeline.text import Fix, Item, Pipeline, Step
from graphopt.rewrite.rule import Rule

BUILTIN = "passes"
ENTRY_POINTS = "graphopt.passes"


class Bound(NamedTuple):
    """A pass with its parsed options. `text` is the step as written."""

    run: Pass
    options: Mapping[str, Any]
    text: str


class BoundFix(NamedTuple):
    """Bound steps repeated until a round changes nothing."""

    body: tuple[Bound | BoundFix, ...]


Resolved = tuple[Bound | BoundFix, ...]


def installed() -> tuple[metadata.EntryPoint, ...]:
    """What other packages add, by name."""
    return tuple(sorted(metadata.entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name))


class Registry:
    """All passes by name. Raises UsageError for a plugin that cannot be loaded, and for a name that two passes have.

    plugins: modules whose passes are added. Entry points are loaded when a pass is asked for that is not our own.
    """

    def __init__(self, plugins: Sequence[str] = ()) -> None:
        self._plugins = {
            module: _load(lambda name=module: importlib.import_module(name).PASSES, f"plugin {module}")
            for module in plugins
        }
        self._own = importlib.import_module(BUILTIN)

    @cached_property
    def passes(self) -> dict[str, Pass]:
        """Every pass, in the order in which they are found."""
        found: dict[str, Pass] = {}
        _add(found, self._own.PASSES, BUILTIN)
        for entry in installed():
            _add(found, _load(entry.load, f"plugin {entry.name} ({entry.value})"), entry.value)
        for module, theirs in self._plugins.items():
            _add(found, theirs, module)
        return found

    def pass_named(self, name: str) -> Pass:
        """The pass called `name`. Raises UsageError with the nearest names."""
        if name in self._own.NAMES and not self._plugins:
            own: Pass = self._own.named(name)
            return own
        if name not in self.passes:
            raise UsageError(f"there is no pass {name!r}{_suggest(name, self.passes)}")
        return self.passes[name]

    def rule_named(self, name: str) -> Rule:
        """The rule called `name`, in whichever pass. Raises UsageError with the nearest names."""
        rules = {rule.name: rule for one in self.passes.values() for rule in one.rules}
        if name not in rules:
            raise UsageError(f"there is no rule {name!r}{_suggest(name, rules)}")
        return rules[name]

    def resolve(self, pipeline: Pipeline) -> Resolved:
        """The pipeline with its passes and parsed options. Raises UsageError for whatever does not exist or fit."""
        return tuple(map(self._resolve, pipeline.items))

    def _resolve(self, item: Item) -> Bound | BoundFix:
        if isinstance(item, Fix):
            return BoundFix(tuple(map(self._resolve, item.body)))
        return self._bind(item)

    def _bind(self, step: Step) -> Bound:
        try:
            return self._bound(step)
        except UsageError as error:
            if step.origin is None:
                raise
            raise UsageError(f"pipeline file {step.origin}: {error}") from error

    def _bound(self, step: Step) -> Bound:
        found = self.pass_named(step.name)
        options: dict[str, Any] = {}
        for name, text in step.options:
            option = found.option(name)
            if name in options:
                raise UsageError(f"{step}: option {name} is given twice")
            try:
                options[name] = option.parse(text)
            except ValueError as error:
                raise UsageError(f"{step}: option {name}: {error}") from error
        return Bound(found, options, str(step))


def without(resolved: Resolved, steps: Collection[str]) -> Resolved:
    """The pipeline without the passes whose texts are among `steps`."""
    kept: list[Bound | BoundFix] = []
    for item in resolved:
        if isinstance(item, Bound):
            kept += [item] if item.text not in steps else []
        elif body := without(item.body, steps):
            kept.append(BoundFix(body))
    return tuple(kept)


def check_requirements(resolved: Resolved, model: Model) -> None:
    """Raise UsageError if a pass of the pipeline cannot run on the model with its options."""
    for item in resolved:
        if isinstance(item, BoundFix):
            check_requirements(item.body, model)
        elif reason := item.run.requires(model, item.options):
            raise UsageError(f"pass {item.text}: {reason}")


def _add(passes: dict[str, Pass], found: Iterable[object], origin: str) -> None:
    for one in found:
        if not isinstance(one, Pass):
            raise UsageError(f"{origin}: PASSES must hold graphopt passes, found {one!r}")
        if passes.setdefault(one.name, one) is not one:
            raise UsageError(f"{origin}: there already is a pass called {one.name!r}")


def _load(load: Any, what: str) -> Any:
    try:
        return load()
    except Exception as error:
        raise UsageError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error


def _suggest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are: {', '.join(known)}"
