"""The keys of a recipe are the options of a command: what each is called, and which values it takes.

Both come from the same place, the annotated parameters of the command; so an option cannot be without its key.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from graphopt.recipe.names import RECIPE, VALUE, Names


@dataclass(frozen=True)
class Key:
    """What one may say.

    name: in a recipe. field: the command's parameter. kind: the type of a value; many: whether there may be several.
    default: what holds without the key. argument: whether it is an argument, not an option. metavar: how
    the help calls a value. panel: the part of the help in which it stands, "" for the first.
    """

    name: str
    field: str
    kind: type
    many: bool = False
    names: Names = VALUE
    help: str = ""
    default: object = None
    argument: bool = False
    metavar: str = ""
    panel: str = ""

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        one = {bool: "true or false", int: "a whole number", float: "a number"}.get(self.kind, "a text")
        return f"{one}, or a list of them" if self.many or self.names.joined else one

    def typed(self, value: object) -> Any:
        """The value as one would type it at the command line; a list if there may be several.

        Raises TypeError if it is not of the expected kind.
        """
        if self.many:
            return [self._one(one) for one in (value if isinstance(value, list) else [value])]
        if self.names.joined and isinstance(value, list):
            return self.names.joined.join(self._one(one) for one in value)
        return self._one(value)

    def _one(self, value: object) -> Any:
        if self.kind is bool:
            fits = isinstance(value, bool)
        elif self.kind in (int, float):
            fits = isinstance(value, int if self.kind is int else int | float) and not isinstance(value, bool)
        else:
            fits = (isinstance(value, str) and bool(value.strip())) or _plain_number(value)
            value = value if isinstance(value, str) else str(value)
        if not fits:
            raise TypeError(self.expected)
        return value


def _plain_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def schema(command: Callable[..., object], parameters: Iterable[Any]) -> Mapping[str, Key]:
    """The keys of a command by name, in the order of its parameters; a recipe cannot name recipes.

    parameters: what typer makes of them: `opts` are the spellings, without dashes for an argument.
    """
    spelled = {one.name: one for one in parameters}
    keys = (_key(one, spelled[name]) for name, one in _signature(command).items() if name in spelled)
    return {key.name: key for key in keys if key.names is not RECIPE}


def named(command: Callable[..., object]) -> dict[str, Names]:
    """What the parameters of a command name, or the fields of a record of options."""
    return {name: _names(one) for name, one in _signature(command).items()}


def _signature(command: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    """The parameters by name. The annotations of a record are resolved where each field is declared, also in a base."""
    if not isinstance(command, type):
        return inspect.signature(command, eval_str=True).parameters
    hints = get_type_hints(command, include_extras=True)
    found = inspect.signature(command).parameters
    return {name: one.replace(annotation=hints[name]) for name, one in found.items()}


def _key(parameter: inspect.Parameter, spelled: Any) -> Key:
    long = next((text.removeprefix("--") for text in spelled.opts if text.startswith("--")), parameter.name)
    kind, many = _kind(_annotation(parameter)[0])
    return Key(
        name=long.replace("_", "-"),
        field=parameter.name,
        kind=kind,
        many=many,
        names=_names(parameter),
        help=getattr(spelled, "help", None) or "",
        default=None if parameter.default is inspect.Parameter.empty else parameter.default,
        argument=not any(text.startswith("-") for text in spelled.opts),
        metavar=spelled.metavar or "",
        panel=getattr(spelled, "rich_help_panel", None) or "",
    )


def _names(parameter: inspect.Parameter) -> Names:
    return next((extra for extra in _annotation(parameter) if isinstance(extra, Names)), VALUE)


def _annotation(parameter: inspect.Parameter) -> tuple[Any, ...]:
    """A type, and what is said besides."""
    annotation = parameter.annotation
    return get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)


def _kind(annotation: Any) -> tuple[type, bool]:
    """The type of one value, and whether there may be several."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    if get_origin(annotation) is list:
        return _kind(get_args(annotation)[0])[0], True
    known = (bool, int, float, str, Path, Enum)
    return (annotation if isinstance(annotation, type) and issubclass(annotation, known) else str), False
