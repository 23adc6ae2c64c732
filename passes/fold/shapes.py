"""How to spell a shape that is known only in part with numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.analysis.order import at_least
from graphopt.analysis.symbolic import Expression, Scalar
from graphopt.analysis.types import Dims

COPY, INFER = 0, -1
"""What 0 and -1 in the target of a Reshape mean."""
END = 2**63 - 1
"""An end of a Slice that means "to the end", whatever the dimension."""


def reshape_target(before: Dims, after: Dims, written: Sequence[Scalar | None]) -> list[int] | None:
    """The target that reshapes a tensor of shape `before` to `after`, or None where numbers cannot say it.

    written: the target as far as it is known. A run in which a copied dimension is 0 has no use for -1; it is
    written only where the given target has one too, or where no copied dimension can be 0.
    """
    target = [_spell(dim, before[i] if i < len(before) else None) for i, dim in enumerate(after)]
    if target.count(INFER) > 1 or any(dim is None for dim in target):
        return None
    copied = [before[i] for i, dim in enumerate(target) if dim == COPY]
    if INFER in target and INFER not in written and not all(d is not None and at_least(d, 1) for d in copied):
        return None
    return [dim for dim in target if dim is not None]


def _spell(dim: Scalar | None, same_place: Scalar | None) -> int | None:
    if dim is not None and dim == same_place:
        return COPY if isinstance(dim, Expression) or dim == 0 else int(dim)
    if dim is None or isinstance(dim, Expression):
        return INFER
    return int(dim) or None


def expand_target(before: Dims, after: Dims) -> list[int] | None:
    """The target that expands a tensor of shape `before` to `after`, with 1 for dimensions that stay."""
    aligned = (1,) * (len(after) - len(before)) + before
    target: list[int] = []
    for old, new in zip(aligned, after, strict=True):
        if new is not None and new == old:
            target.append(1)
        elif new is None or isinstance(new, Expression):
            return None
        else:
            target.append(int(new))
    return target


def same(before: Dims | None, after: Dims | None) -> bool:
    """Whether two shapes are certainly equal."""
    return before is not None and None not in before and before == after
