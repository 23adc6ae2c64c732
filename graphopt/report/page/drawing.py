"""Drawings as SVG that takes its colours and its font from the page around it.

matplotlib draws with a colour of its own for each role of `COLOURS`; in its SVG these become the page's variables, so
one drawing serves light, dark and paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from graphopt.report.style import shortened, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
ROLES = ("ink", "muted", "line", "before", "after", "good", "bad", "warn", "surface")
COLOURS = {role: f"#0102{number:02x}" for number, role in enumerate(ROLES)}
"""Role to the colour that stands for it until the page says which one it is."""
_ROLE_OF = {colour: role for role, colour in COLOURS.items()}
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": COLOURS["line"],
    "axes.facecolor": "none",
    "axes.labelcolor": COLOURS["muted"],
    "axes.labelsize": 9,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": COLOURS["muted"],
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": COLOURS["muted"],
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "graphopt",
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "xtick.color": COLOURS["muted"],
    "xtick.labelsize": 8,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": COLOURS["ink"],
    "ytick.labelsize": 9,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
POINTS = 72


@dataclass(frozen=True)
class Room:
    """How much room a drawing has. width: in inches; label: characters of a name; narrow: whether it is for a phone."""

    width: float
    label: int
    narrow: bool


WIDE, NARROW = Room(8.6, 38, narrow=False), Room(3.9, 20, narrow=True)


@dataclass(frozen=True)
class Chart:
    """A drawing, for wide and for narrow windows. alt: what it shows, in words."""

    title: str
    alt: str
    wide: Markup
    narrow: Markup


Tips = dict[str, str]
"""Group of a drawing to what is shown when a pointer rests on it."""


def chart(name: str, title: str, alt: str, draw: Callable[[Room], tuple[Figure, Tips]]) -> Chart:
    """A chart of the drawing that `draw` makes for each room. name: unique on the page."""
    drawn = []
    for room in (WIDE, NARROW):
        with _styled():
            figure, tips = draw(room)
            drawn.append(_svg(figure, f"{name}-{'n' if room.narrow else 'w'}", alt, tips))
    return Chart(title, alt, *drawn)


@contextmanager
def _styled() -> Iterator[None]:
    import logging
    import warnings

    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page's own fonts have it
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        yield


def figure(room: Room, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of the width of `room` with axes side by side. height: in inches."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(room.width, height))
    axes = made.subplots(1, columns, squeeze=False, sharey=True)
    return made, list(axes[0])


def margins(made: Figure, *, left: float, right: float, top: float, bottom: float, between: float = 0.1) -> None:
    """Set the margins, in inches. between: of the width of one of the axes."""
    width, height = made.get_size_inches()
    made.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height, wspace=between)


def label(words: str, room: Room) -> str:
    """A name, escaped, and as long as fits."""
    most = room.label
    words = shown(words)
    return words if len(words) <= most else shortened(words, most - 5).replace(" ... ", "…")


# ---- SVG ----


def _svg(made: Figure, name: str, alt: str, tips: Mapping[str, str]) -> Markup:
    """The figure as an element of a page: named, described, without anything that points outside."""
    out = StringIO()
    made.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ET.fromstring(out.getvalue())  # noqa: S314 - matplotlib's own
    used = _referred(root)
    for element in list(root.iter()):
        _cleaned(element)
        own = element.attrib.pop("id", "")
        if own in used:
            element.set("id", f"{name}-{own}")
        if own in tips:
            title = ET.Element("title")
            title.text = shown(tips[own])
            element.insert(0, title)
        for key, value in element.attrib.items():
            element.set(key, _dressed(value, name))
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.set("role", "img")
    root.set("aria-label", shown(alt))
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree escaped every text in it


def _referred(root: ET.Element) -> set[str]:
    """Names that the drawing itself refers to."""
    values = [value for element in root.iter() for value in element.attrib.values()]
    return {found[1] for value in values for found in re.finditer(r"(?:url\(|^)#([^)]+)", value)}


def _cleaned(element: ET.Element) -> None:
    """Inside a page SVG needs no names of namespaces; metadata and style sheets are the page's business."""
    for child in list(element):
        if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
            element.remove(child)
    element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    if f"{{{XLINK}}}href" in element.attrib:
        element.set("href", element.attrib.pop(f"{{{XLINK}}}href"))
    if not (element.text or "").strip():
        element.text = None
    element.tail = None


def _dressed(value: str, name: str) -> str:
    """An attribute with the page's colours and font, and with the names of this drawing."""
    value = re.sub(r"#0102[0-9a-f]{2}", lambda found: f"var(--{_ROLE_OF[found[0]]})", value)
    value = re.sub(r"'DejaVu Sans'[^;]*", "var(--font)", value)
    return re.sub(r"(url\(|^)#", rf"\1#{name}-", value)
