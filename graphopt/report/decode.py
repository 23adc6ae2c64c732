"""Records out of the JSON that `encode` makes of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from graphopt.report.hints import hints

T = TypeVar("T")


def from_json(kind: type[T], text: str | bytes) -> T:
    """The dataclass that `to_json` wrote. Raises ValueError where the text is something else."""
    return cast("T", _read(kind, json.loads(text)))


def _read(kind: Any, value: Any) -> Any:
    """The value as an instance of the annotation `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if reader := _READERS.get(origin):
        return reader(origin, arguments, value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, _expected(dict, value))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return float(_expected((int, float, str), value)) if kind is float else _expected(kind, value)


def _mapping(_origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    return {key: _read(arguments[1], one) for key, one in _expected(dict, value).items()}


def _one_of(_origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    if value not in arguments:
        raise ValueError(f"expected one of {arguments}, found {value!r}")
    return value


def _record(kind: type, value: dict[str, Any]) -> Any:
    types = hints(kind)
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    if value.keys() != fields:
        raise ValueError(f"{kind.__name__} has the fields {sorted(fields)}, found {sorted(value)}")
    return kind(**{name: _read(types[name], one) for name, one in value.items()})


def _sequence(origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    items = _expected(list, value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return tuple(_read(kind, one) for kind, one in zip(arguments, items, strict=True))
    return origin(_read(arguments[0], one) for one in items)


def _any_of(_origin: Any, kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None and NoneType in kinds:
        return None
    reasons = []
    for kind in kinds:
        if kind is not NoneType:
            try:
                return _read(kind, value)
            except (TypeError, ValueError) as error:
                reasons.append(str(error))
    raise ValueError("; ".join(reasons))


def _expected(kind: Any, value: Any) -> Any:
    if kind is not Any and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise ValueError(f"expected {kind}, found {value!r}")
    return value


_READERS = {
    Union: _any_of,
    UnionType: _any_of,
    tuple: _sequence,
    list: _sequence,
    dict: _mapping,
    Mapping: _mapping,
    Literal: _one_of,
}
"""How values of generic types are read: the type, its arguments, the value."""
