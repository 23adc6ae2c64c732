"""The rewrites. Each package is one pass; each rule has a file of its own."""

from __future__ import annotations

from graphopt.pipeline.passes import Pass

PASSES: tuple[Pass, ...] = ()
