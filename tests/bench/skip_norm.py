"""SkipLayerNormalization against the Sum and LayerNormalization that it stands for, on the CPU provider."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import graphopt
from graphopt.report.bench_text import spelled
from tests.support import proto

WIDTH = 768
ROWS = (16, 128, 1024)
BLOCKS = 8
"""In a row, as one alone takes no longer than a call of the runtime."""


def main() -> None:
    print("| rows | SkipLayerNormalization takes, times as long |\n|---|---|")
    weights = {"bias": (WIDTH,), "g": np.ones(WIDTH, np.float32), "b": np.zeros(WIDTH, np.float32)}
    apart, fused = (proto(_text(block), weights) for block in (_apart, _fused))
    for rows in ROWS:
        found = graphopt.bench([apart, fused], threads=[1], sizes={"R": rows}, seconds=20.0)
        print(f"| {rows} | {spelled(found.results[1].ratio)} |", flush=True)


def _apart(i: int) -> str:
    return f"s{i} = Sum(x{i}, skip, bias) x{i + 1} = LayerNormalization(s{i}, g, b)"


def _fused(i: int) -> str:
    return f"x{i + 1} = com.microsoft.SkipLayerNormalization<epsilon = 0.00001>(x{i}, skip, g, b, bias)"


def _text(block: Callable[[int], str]) -> str:
    body = " ".join(block(i) for i in range(BLOCKS))
    header = '<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1]>'
    shape = f"float[1, R, {WIDTH}]"
    return f"{header} m ({shape} x0, {shape} skip) => ({shape} x{BLOCKS}) {{ {body} }}"
