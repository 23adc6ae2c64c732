from __future__ import annotations

import numpy as np
import pytest

from passes.layout import unsqueezed_lookup
from tests.support import fires, refuses

TABLES = {"table": (6, 4), "first": np.array([0]), "two": np.array([1, 0]), "last": np.array([-1])}


@pytest.mark.parametrize(
    ("body", "shape", "left"),
    [
        ("r = Gather(table, i) y = Unsqueeze(r, first)", "1,A,B,4", (1, 6, 4)),
        ("r = Gather<axis = 1>(table, i) y = Unsqueeze(r, first)", "1,6,A,B", (1, 6, 4)),
        ("r = Gather<axis = -1>(table, i) y = Unsqueeze(r, two)", "1,1,6,A,B", (1, 1, 6, 4)),
    ],
)
def test_tables_get_leading_axes(body, shape, left):
    text = f"g (int64[A,B] i) => (float[{shape}] y) {{ {body} }}"
    used = {name: value for name, value in TABLES.items() if name in body}
    graph = fires(unsqueezed_lookup, text, used, leaves=["Gather"]).graph
    assert graph.nodes[0].inputs[0].shape == left


def test_a_single_element_gets_an_axis():
    text = "g (int64 i) => (float[1] y) { r = Gather(line, i) y = Unsqueeze(r, last) }"
    line = {"line": np.linspace(0, 1, 6, dtype=np.float32), "last": np.array([-1])}
    graph = fires(unsqueezed_lookup, text, line, leaves=["Gather"]).graph
    assert graph.nodes[0].inputs[0].shape == (1, 6)


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        ("r = Gather(table, i) y = Unsqueeze(r, last)", "float[A,B,4,1] y", "behind others"),
        (
            "r = Gather(table, i) y = Unsqueeze(r, first) z = Gather(table, i)",
            "float[1,A,B,4] y, float[A,B,4] z",
            "too",
        ),
        ("r = Gather(i, first) y = Unsqueeze(r, first)", "int64[1,1,B] y", "not constant"),
    ],
)
def test_other_lookups_stay(body, outputs, reason):
    used = {name: value for name, value in TABLES.items() if name in body}
    refuses(unsqueezed_lookup, f"g (int64[A,B] i) => ({outputs}) {{ {body} }}", used, reason=reason)


@pytest.mark.parametrize("size", [16 << 20, (16 << 20) + 1])
def test_so_large_tables_get_an_axis(size):
    text = "g (int64[A] i) => (uint8[1,A] y) { r = Gather(table, i) y = Unsqueeze(r, first) }"
    held = {"table": np.zeros(size, np.uint8), "first": TABLES["first"]}
    if size == 16 << 20:
        fires(unsqueezed_lookup, text, held, leaves=["Gather"])
    else:
        refuses(unsqueezed_lookup, text, held, reason="the table is large")


def test_unknown_axes_stay():
    text = "g (int64[A,B] i, int64[1] a) => (float[?,?,?,?] y) { r = Gather(table, i) y = Unsqueeze(r, a) }"
    refuses(unsqueezed_lookup, text, {"table": (6, 4)}, reason="the axes are unknown")
