"""The layout of reports in JSON: written down in the package, and kept."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Literal

import pytest

from graphopt.report.encode import to_json
from graphopt.report.record import Report
from graphopt.report.schema import report_schema, schema, text
from tests.cli.readme import README
from tests.report.reports import CLEAN, DIRTY, FULL

jsonschema = pytest.importorskip("jsonschema")


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Leaf:
    """A leaf. size: in metres."""

    size: float
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Tree:
    """A tree."""

    leaves: tuple[Leaf, ...]
    pair: tuple[int, str]
    kind: Literal["oak", "ash"]
    parent: Tree | None = None


OAK = Tree((Leaf(1.5), Leaf(float("inf"))), (1, "a"), "oak")


def validator(record):
    jsonschema.Draft202012Validator.check_schema(schema(record))
    return jsonschema.Draft202012Validator(schema(record))


def test_a_record_fits_its_own_schema():
    validator(Tree).validate(json.loads(to_json(replace(OAK, parent=OAK))))


@pytest.mark.parametrize(
    "change",
    [{"leaves": [{"size": "large", "colour": "red"}]}, {"pair": [1]}, {"pair": [1, "a", 2]}, {"kind": "elm"},
     {"leaves": [{"size": 1, "colour": "blue"}]}, {"more": 1}, {"parent": {}}],
)  # fmt: skip
def test_what_is_no_such_record_does_not(change):
    assert not validator(Tree).is_valid(json.loads(to_json(OAK)) | change)


def test_docstrings_describe_the_records():
    assert schema(Tree)["$defs"]["Leaf"]["description"] == "A leaf. size: in metres."


def test_what_has_no_place_in_json_is_refused():
    @dataclass
    class Bad:
        items: Sequence[int]

    Bad.__annotations__["items"] = Sequence[int]
    with pytest.raises(TypeError, match="has no place in JSON"):
        schema(Bad)


def test_the_file_in_the_package_is_up_to_date():
    assert json.loads(text()) == report_schema(), "run `python -m graphopt.report.schema`"


@pytest.mark.parametrize("report", [CLEAN, DIRTY, FULL], ids=["clean", "dirty", "full"])
def test_reports_fit_the_schema(report):
    validator(Report).validate(json.loads(report.to_json()))


def test_the_version_is_part_of_it():
    assert json.loads(CLEAN.to_json())["schema"] == 1
    assert "schema" in report_schema()["$defs"]["Report"]["required"]


def test_the_readme_names_every_field():
    section = README.read_text("utf-8").partition("## Reports")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == {field.name for field in fields(Report)}
