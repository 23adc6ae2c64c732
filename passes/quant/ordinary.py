"""Ordinary numbers for checks of calls whose grids are found while they run: extreme ones leave nothing of others."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.ir.types import Array, Constant, Tensor
from graphopt.numerics.domains import domain_of
from graphopt.numerics.feeds import InputSpec, feeds
from graphopt.pipeline.context import Activations, Context


def ordinary(context: Context) -> Activations:
    """Activations for `Context.apply`: normal numbers, and others as operators need them, at every binding."""

    def drawn(tensors: Sequence[Tensor]) -> list[dict[Tensor, Array]]:
        fed = [tensor for tensor in tensors if not isinstance(tensor, Constant)]
        found: list[dict[Tensor, Array]] = []
        for shapes in context.bound:
            known = [(tensor, shapes.dtype(tensor), shapes.static(tensor)) for tensor in fed]
            specs = [
                InputSpec(tensor.name, dtype, shape, domain_of(tensor, shapes))
                for tensor, dtype, shape in known
                if dtype is not None and shape is not None
            ]
            values = feeds(specs, context.seed)
            found.append({tensor: values[tensor.name] for tensor in fed if tensor.name in values})
        return found

    return drawn
