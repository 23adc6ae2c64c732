"""Numbers and names in sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import graphopt
from graphopt.ir import words
from graphopt.report import style
from graphopt.report.encode import to_json
from graphopt.report.formats import FORMATS, formatter


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        (style.size, (0,), "0 B"),
        (style.size, (999,), "999 B"),
        (style.size, (1000,), "1.0 KB"),
        (style.size, (4_400_000_000,), "4.4 GB"),
        (style.amount, (789_984,), "789,984"),
        (style.amount, (1_370_000,), "1.37 M"),
        (style.amount, (4.1e9,), "4.10 G"),
        (style.duration, (0.0,), "0 s"),
        (style.duration, (3e-9,), "3 ns"),
        (style.duration, (0.00124,), "1.24 ms"),
        (style.duration, (0.0009999,), "1.00 ms"),
        (style.duration, (0.125,), "125 ms"),
        (style.duration, (12.0,), "12.0 s"),
        (style.duration, (150.0,), "2.5 min"),
        (style.change, (10, 5), "-50 %"),
        (style.change, (5, 10), "+100 %"),
        (style.change, (1000, 999), "-0.1 %"),
        (style.change, (5, 5), ""),
        (style.change, (0, 5), "new"),
        (style.number, (2.3456,), "2.35"),
        (style.number, (None,), "-"),
        (style.number, (float("nan"),), "-"),
        (style.counted, (1, "place"), "1 place"),
        (style.counted, (2000, "place"), "2,000 places"),
        (style.counted, (2, "near miss", "near misses"), "2 near misses"),
        (words.listed, (["a", "b"],), "a, b"),
        (words.listed, (["a", "b", "c"], 2), "a, b and 1 more"),
        (style.sentence, ("it fails",), "it fails."),
        (style.sentence, ("it fails. ",), "it fails."),
        (style.sentence, ("",), ""),
        (style.shortened, ("abcdefgh", 4), "ab ... gh"),
        (style.shortened, ("abcd", 4), "abcd"),
        (style.shown, ("größe\t\x1b\u202e\udc80",), "größe\\t\\x1b\\u202e\\udc80"),
        (style.shown, ("a\nb",), "a\\nb"),
    ],
)
def test_words(function, arguments, words):
    assert function(*arguments) == words


def test_lines_stay_lines_where_they_may():
    assert style.shown("a\n^\x1b", lines=True) == "a\n^\\x1b"


def test_markup_is_text():
    assert style.plain(style.text("[bold]x[/bold]")) == "[bold]x[/bold]"


def test_records_become_json_that_every_reader_accepts():
    @dataclass(frozen=True)
    class Record:
        numbers: tuple[float, ...]
        names: dict[str, str]

    text = to_json(Record((1.5, float("inf"), float("-inf"), float("nan")), {"a": "\udc80\x1b"}))
    assert json.loads(text, parse_constant=pytest.fail) == {
        "numbers": [1.5, "inf", "-inf", "nan"],
        "names": {"a": "\udc80\x1b"},
    }
    assert text.isascii()


def test_the_ending_of_a_report_decides_its_format():
    assert formatter(Path("build.d/r.md"), FORMATS) is FORMATS[".md"]
    with pytest.raises(graphopt.UsageError, match=r"must end in .json, .html, .md, .txt"):
        formatter(Path("r"), FORMATS)
