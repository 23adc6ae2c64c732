"""Pieces of a tensor taken out of a sequence."""

from __future__ import annotations

import numpy as np

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor

x, lengths, position = Value("x"), Value("lengths"), Value("position")
pieces = op.SplitToSequence(x, lengths)
INPUT_SINCE = 13
"""The first opset in which Split takes lengths as an input."""


@rule(op.SequenceAt(pieces.shared(), position), numerics=Exact(), opset=INPUT_SINCE)
def split_sequence(m: Match, new: Builder) -> Tensor:
    """A piece of SplitToSequence(x, n) is an output of Split(x)."""
    shape, asked, at = m.shape(x), m.known(lengths), m.known(position)
    if shape is None or asked is None or at is None:
        m.refuse("the lengths of the pieces, or which one it is, are unknown")
    whole = shape[m.attr(pieces, "axis", 0)]
    if asked.ndim == 0:
        m.require(isinstance(whole, int) and int(asked) > 0, "the length of what is split is unknown")
        one, total = int(asked), int(whole)
        asked = np.array([min(one, total - start) for start in range(0, total, one)])
    index = int(at.reshape(()))
    m.require(-len(asked) <= index < len(asked), "there is no such piece")
    made = new.node("Split", m[x], asked.astype(np.int64), axis=m.attr(pieces, "axis"), outputs=len(asked))
    found: Tensor = made[index] if len(asked) > 1 else made
    return found
