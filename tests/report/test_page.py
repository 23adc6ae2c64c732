"""The report as a page: whole, self-contained, and nothing in a model can steer it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from graphopt.pipeline.journal import Status
from graphopt.report.headline import TIMES
from graphopt.report.layers import Layer
from graphopt.report.record import Report
from tests.report.reports import CLEAN, FULL, entry

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from graphopt.report.page import charts, drawing
from graphopt.report.page.compile import render

EVIL = (
    "</title></text><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>\"'&amp;$x^2$"
    "\x1b[31m\u202e{{ 7*7 }}"
)
VOID = {"meta", "link", "img", "br", "hr", "input"}
ADDRESSES = ("src", "href", "action", "formaction", "poster", "srcset", "data", "background", "xlink:href")


class Page(HTMLParser):
    """What a browser would see: elements with attributes and the text of each, and whether all are closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.words, self.unclosed = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def said(self):
        return " ".join(" ".join(self.words).split())


def evil(value):
    """A record with every text replaced by a hostile one, but for those that the program itself chose."""
    if isinstance(value, Status):
        return value
    if isinstance(value, str):
        return EVIL if re.search(r"[a-z]\.(onnx|npz)|^[A-Z]|conv|thing|bad", value) else value
    if dataclasses.is_dataclass(value):
        return replace(value, **{f.name: evil(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init})
    if isinstance(value, tuple | list):
        return type(value)(map(evil, value))
    return {evil(key): evil(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def pages():
    """What is rendered of some reports, once."""
    return {name: render(report) for name, report in {"clean": CLEAN, "full": FULL, "evil": evil(FULL)}.items()}


@pytest.fixture(scope="module")
def full(pages):
    return pages["full"]


NAMES = pytest.mark.parametrize("name", ["clean", "full", "evil"])


@NAMES
def test_every_element_is_closed_and_every_name_is_there_once(pages, name):
    page = Page(pages[name])
    assert page.open == []
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))


@NAMES
def test_nothing_is_fetched_and_nothing_runs(pages, name):
    text = pages[name]
    page = Page(text)
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "img", "image"} & {
        tag for tag, _ in page.elements
    }
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for address in ADDRESSES:
            assert attributes.get(address, "#").startswith("#")
        assert "http" not in attributes.get("style", "")
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [one["content"] for one in page.named("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.split("; ")[0] == "default-src 'none'"
    assert not re.search(r"https?:|\*|unsafe-eval|script-src", policy)


def test_what_a_drawing_refers_to_is_in_it(full):
    for drawn in re.findall(r"<svg.*?</svg>", full, re.DOTALL):
        assert set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", drawn)) <= set(re.findall(r' id="([^"]+)"', drawn))


def test_hostile_names_are_shown_as_they_are(pages):
    page = Page(pages["evil"])
    assert "alert(1)" in page.said
    assert "\\x1b[31m\\u202e" in page.said
    assert "{{ 7*7 }}" in page.said
    assert not set(page.said) & {"\x1b", "\u202e"}


def test_the_page_opens_with_the_three_figures(full):
    page = Page(full)
    keys = [
        attributes["id"] for tag, attributes in page.elements if attributes.get("id", "").startswith(("figure", "be"))
    ]
    assert keys == ["figure-compression", "figure-speed", "figure-accuracy", "before-after"]
    for words in (
        f"Compression ratio 2.00{TIMES} 2.1 MB → 1.1 MB on disk",
        f"Speed-up 2.00{TIMES} 2.00 ms → 1.00 ms at batch 1 99 % interval 1.67{TIMES} to 2.50{TIMES}",
        "Accuracy change -2.00 points top1 90.00 % → 88.00 % 95 % interval -3.00 to -1.00 200 samples of val.npz",
    ):
        assert words in page.said


def test_what_was_not_measured_is_said_and_how_it_would_be(pages):
    said = Page(pages["clean"]).said
    assert "Speed-up not measured say --measure" in said
    assert "Accuracy change not measured say --data DATA --metric NAME" in said


def test_all_sections_are_there(full):
    page = Page(full)
    assert [one["id"] for one in page.named("section")] == [
        "attention", "notes", "before-after", "speed", "accuracy", "budget", "passes", "layers", "environment",
    ]  # fmt: skip
    for words in (
        "bad was undone at Conv w: 1 became 2.",
        "thing was kept at Thing t: nothing can run it.",
        "The whole model was not verified: the model draws random numbers.",
        "the opset was raised.",
        "max-drop 3 points is kept",
        "conv_batchnorm at BatchNormalization b was left out",
        "avx2",
        "onnx 1.2.3",
    ):
        assert words in page.said


def test_drawings_say_in_words_what_they_show(full):
    drawings = Page(full).named("svg")
    assert len(drawings) >= 14
    for one in drawings:
        assert one["role"] == "img"
        assert len(one["aria-label"]) > 10


def test_drawings_take_their_colours_from_the_page(full):
    for drawn in re.findall(r"<svg.*?</svg>", full, re.DOTALL):
        assert re.findall(r"#[0-9a-f]{6}|DejaVu", drawn) == []
    used = set(re.findall(r"var\(--(\w+)\)", full))
    light, dark, _ = (
        set(re.findall(r"--([\w-]+):", block)) for block in re.findall(r":root \{(.*?)\}", full, re.DOTALL)
    )
    assert used <= light
    assert used - {"font", "mono"} <= dark


def test_one_report_is_one_page(full):
    assert render(FULL) == full


def test_a_page_about_a_huge_model_stays_small():
    many = tuple(entry(f"rule{i}", f"Conv {'w' * 5000}{i}", Status.WRONG, "x" * 5000) for i in range(2000))
    layers = tuple(Layer(f"layer/{'n' * 3000}/{i}", "Conv", i, i, i) for i in range(20_000))
    operators = {f"custom::{'Op' * 500}{i}": i + 1 for i in range(3000)}
    report = replace(
        FULL, rolled_back=many, layers=layers, model="m" * 10_000, before=replace(FULL.before, operators=operators)
    )
    assert len(render(report).encode()) < 2_000_000


def test_names_that_matplotlib_has_no_letters_for_are_no_trouble():
    layers = (Layer("層/卷积/😀", "Conv", 1, 4, 1), Layer("", "Conv", 1, 4, 1))
    assert "卷积" in render(replace(FULL, layers=layers))


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30, float("inf"), float("nan")])
def test_intervals_of_any_numbers(value):
    charts.intervals([charts.Interval("a", value, value, value, "")], str, drawing.WIDE, zero=0.0)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1e30])
def test_drawings_of_any_numbers(value):
    for room in (drawing.WIDE, drawing.NARROW):
        charts.pairs([charts.Pair("a", value, 0.0, str)], room)
        charts.bars(["a"], [charts.Panel("p", [value], str)], room)
        charts.promises([charts.Promise("a", [value], value)], room)
        charts.spreads([charts.Spread("a", [value] * 21, [], "before")], str, room)
        charts.intervals([charts.Interval("a", value, None, None, "")], str, room)


def test_reports_have_no_state():
    import matplotlib as mpl

    held = dict(mpl.rcParams)
    render(CLEAN)
    assert dict(mpl.rcParams) == held
    assert isinstance(FULL, Report)
