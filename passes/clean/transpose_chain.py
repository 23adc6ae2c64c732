"""Two Transposes in a row."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Value, op, rule
from graphopt.ir.types import Tensor
from passes.clean.guards import take

x = Value("x")
inner = op.Transpose(x).shared()
outer = op.Transpose(inner)


@rule(outer, numerics=Exact())
def transpose_chain(m: Match, new: Builder) -> Tensor:
    """Transpose(Transpose(x, p), q) is Transpose(x, r) with r[i] = p[q[i]], or x itself."""
    first, second = m.attr(inner, "perm"), m.attr(outer, "perm")
    known = first or second
    rank = len(known) if known else m.rank(x)
    m.require(rank is not None, "the number of axes is unknown")
    backwards = list(range(rank or 0))[::-1]
    perm = [(first or backwards)[axis] for axis in second or backwards]
    if perm == sorted(perm) and m.can_stand_for(m[x], m.tensor(outer)):
        return take(m, x)
    used = len(m.tensor(inner).outputs) > 1 or m.is_output(inner)
    m.require(not used, "the first Transpose has other readers")
    return new.Transpose(m[x], perm=perm)
