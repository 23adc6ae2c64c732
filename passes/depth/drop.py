"""The pass: which blocks go, and that they do."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.edit import Rewrite
from graphopt.ir.words import listed
from graphopt.numerics.contract import Judged
from graphopt.pipeline.journal import Table
from passes.depth.blocks import Block, blocks
from passes.depth.influence import influences

if TYPE_CHECKING:
    from graphopt.ir.types import Array
    from graphopt.pipeline.context import Context
    from graphopt.pipeline.passes import Options

SAMPLES = 128
MOST_NAMES = 8


def drop(context: Context, options: Options) -> None:
    """Take out the blocks that change the least. Raises UsageError where there are too few, or no samples."""
    wanted = options["blocks"]
    found = _chosen(blocks(context.model, context.shapes), options)
    if wanted > len(found):
        names = listed((block.name for block in found), MOST_NAMES)
        raise UsageError(
            f"depth: blocks={wanted}, but the model has {len(found)} residual blocks to choose from: {names}"
        )
    if context.calibration is None:
        raise UsageError("depth: which blocks change the least is measured on samples: give --calibration or --data")
    scores = influences(context.model, found, context.calibration, context.runner, options.get("samples", SAMPLES))
    gone = {int(place) for place in np.argsort(scores, kind="stable")[:wanted]}
    done = {place for place in sorted(gone) if _drop(context, found[place])}
    context.editor.flush()
    context.tabulate(_table(found, scores, done))


def _chosen(found: list[Block], options: Options) -> list[Block]:
    only, keep = (options.get(name) for name in ("only", "keep"))
    for option, patterns in (("only", only or ()), ("keep", keep or ())):
        for pattern in patterns:
            if not any(fnmatchcase(block.name, pattern) for block in found):
                names = listed((block.name for block in found), MOST_NAMES) or "there is none"
                raise UsageError(f"depth: {option}={pattern} matches no residual block; the blocks are {names}")
    return [
        block
        for block in found
        if (only is None or any(fnmatchcase(block.name, pattern) for pattern in only))
        and not any(fnmatchcase(block.name, pattern) for pattern in keep or ())
    ]


def _drop(context: Context, block: Block) -> bool:
    """Let all readers of the sum read what goes into the block."""
    total = block.total
    if not context.editor.alive(total):
        return False
    skip = next(tensor for tensor in total.inputs if tensor is not block.branch)
    graph = context.editor.home[total]
    rewrite = Rewrite(graph, total, (*reversed(block.nodes), total), (), {total.outputs[0]: skip})
    return context.apply(rewrite, "drop", Judged()) is not None


def _table(found: list[Block], scores: Array, done: set[int]) -> Table:
    rows = tuple(
        (block.name, float(score), "gone" if place in done else "")
        for place, (block, score) in enumerate(zip(found, scores, strict=True))
    )
    return Table("Residual blocks", ("block", "influence", ""), rows, f"{len(done)} of {len(found)} went.")
