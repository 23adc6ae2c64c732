"""The rewrites. Each package is one pass; each rule has a file of its own.

A package is imported when its pass is asked for: `NAMES` lists all, and `PASSES` are all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.pipeline.passes import Pass

    PASSES: tuple[Pass, ...]

NAMES = (
    "algebra", "attention", "blocks", "clean", "canonical", "cast", "depth", "distill", "fold",
    "freeze", "fuse", "layout", "opset", "positions", "prune", "quant", "sparsify", "strip",
)  # fmt: skip


def named(name: str) -> Pass:
    """The pass of that name, one of `NAMES`; its package holds it in capitals."""
    found: Pass = getattr(import_module(f"{__name__}.{name}"), name.upper())
    return found


def __getattr__(name: str) -> tuple[Pass, ...]:
    if name == "PASSES":
        return tuple(map(named, NAMES))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
