"""The layout of reports in JSON, as a JSON Schema that is made of the records themselves.

`python -m graphopt.report.schema` writes it anew into the file that is part of the package.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable
from enum import Enum
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Union

from graphopt.report.hints import hints

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = "report.schema.json"
FLOAT = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]}
"""JSON has no such numbers, so they are texts."""
PLAIN: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: FLOAT,
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
}
Schema = dict[str, Any]


def schema(record: type) -> Schema:
    """The JSON Schema of what `report.encode.to_json` makes of a dataclass.

    Raises TypeError for an annotation that has no place in JSON, and for two records of the same name.
    """
    definitions: dict[str, Schema] = {}
    reference = _Types(definitions, {}).of(record)
    return {"$schema": DIALECT, "title": record.__name__, **reference, "$defs": dict(sorted(definitions.items()))}


@dataclasses.dataclass(frozen=True)
class _Types:
    """Schemas of types. definitions: of the dataclasses met so far, by name; records: these themselves."""

    definitions: dict[str, Schema]
    records: dict[str, type]

    def of(self, annotation: Any) -> Schema:
        """The schema of a type."""
        if annotation in PLAIN:
            return PLAIN[annotation]
        if dataclasses.is_dataclass(annotation):
            return self._record(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return {"enum": [member.value for member in annotation]}
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        made: dict[Any, Callable[[Any], Schema]] = {
            Literal: lambda values: {"enum": list(values)},
            Union: lambda types: {"anyOf": [self.of(one) for one in types]},
            types.UnionType: lambda types: {"anyOf": [self.of(one) for one in types]},
            list: lambda types: {"type": "array", "items": self.of(types[0])},
            dict: lambda types: {"type": "object", "additionalProperties": self.of(types[1])},
            tuple: self._tuple,
        }
        if origin not in made:
            raise TypeError(f"{annotation!r} has no place in JSON")
        return made[origin](arguments)

    def _tuple(self, arguments: tuple[Any, ...]) -> Schema:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": self.of(arguments[0])}
        count = len(arguments)
        return {"type": "array", "prefixItems": [self.of(one) for one in arguments], "minItems": count, "items": False}

    def _record(self, record: Any) -> Schema:
        name = record.__name__
        if self.records.setdefault(name, record) is not record:
            raise TypeError(f"two records are called {name}: {record!r} and {self.records[name]!r}")
        if name not in self.definitions:
            self.definitions[name] = {}  # a record may hold itself
            kinds = hints(record)
            fields = {field.name: self.of(kinds[field.name]) for field in dataclasses.fields(record)}
            self.definitions[name] = {
                "type": "object",
                "description": inspect.getdoc(record) or "",
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{name}"}


def report_schema() -> Schema:
    """The schema of `graphopt optimize --json`, and of a report in a file."""
    from graphopt.report.record import Report

    return schema(Report)


def text() -> str:
    """The schema of reports as it is in the package."""
    return resources.files("graphopt.report").joinpath(FILE).read_text("utf-8")


def main() -> None:
    """Write the file anew."""
    target = Path(sys.modules[__name__].__file__ or "").with_name(FILE)
    target.write_text(json.dumps(report_schema(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
