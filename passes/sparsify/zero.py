"""Weights of least magnitude become zero, anywhere or so many of each few neighbours.

Zeros make compressed files smaller. They make nothing faster but in runtimes with sparse kernels, which ONNX Runtime
does not have: what is to run faster there is to be cut (the pass prune).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Array, Constant, Variable
from graphopt.ir.values import constant
from graphopt.numerics.contract import Judged
from graphopt.pipeline.journal import Table
from graphopt.pipeline.passes import Options
from passes.prune.recover.layers import Layer, layers

if TYPE_CHECKING:
    from graphopt.pipeline.context import Context

RULE = "zeroed_weights"
DEFAULT = 0.5
PLAINLY = (
    "sparsify: zeros make compressed files smaller; only runtimes with sparse kernels run them faster, and ONNX "
    "Runtime has none"
)


def smallest(weights: Sequence[Array], share: float, *, together: bool) -> list[Array]:
    """Which weights stay (bool arrays) if a share of them goes, the smallest: of each array, or of all `together`.

    Han et al., Learning both Weights and Connections for Efficient Neural Networks, 2015.
    """
    sizes = [np.abs(array) for array in weights]
    parts = [np.concatenate([size.reshape(-1) for size in sizes])] if together else sizes
    levels = [np.quantile(part, share, method="inverted_cdf") for part in parts]
    return [size > levels[0 if together else index] for index, size in enumerate(sizes)]


def patterned(weights: Array, axis: int, stays: int, of: int) -> Array:
    """Which weights stay (bool) if of every `of` neighbours along an axis the `stays` largest do; a rest stays whole.

    Mishra et al., Accelerating Sparse Deep Neural Networks, 2021.
    """
    size = np.moveaxis(np.abs(weights), axis, -1)
    whole = size.shape[-1] // of * of
    parts = size[..., :whole].reshape(*size.shape[:-1], -1, of)
    rank = np.argsort(np.argsort(-parts, axis=-1, kind="stable"), axis=-1, kind="stable")
    kept = np.ones(size.shape, bool)
    kept[..., :whole] = (rank < stays).reshape(*size.shape[:-1], whole)
    return np.moveaxis(kept, -1, axis)


def zero(context: Context, options: Options) -> None:
    """Make weights zero. Raises UsageError where there are none."""
    found = list(layers(context.model))
    if not found:
        raise UsageError("sparsify: there are no weights to make zero: no layer has constant weights of its own")
    weights = [layer.weight.values for layer in found]
    pattern = options.get("pattern")
    if pattern is None:
        masks = smallest(weights, options.get("share", DEFAULT), together=options.get("scope") == "global")
    else:
        masks = [patterned(held, layer.reading, *pattern) for layer, held in zip(found, weights, strict=True)]
    rows = []
    for layer, held, mask in zip(found, weights, masks, strict=True):
        name = layer.weight.tensor.name
        if not mask.all() and _zero(context, layer, np.where(mask, held, np.zeros((), held.dtype))):
            share = round(1 - float(mask.mean()), 3)
            rows.append((name, held.size, share, _squeezed(held), _squeezed(held * mask)))
    columns = ("weights", "numbers", "zero", "bytes compressed", "then")
    context.tabulate(Table("sparsify", columns, tuple(rows), "Compressed by zlib."))
    context.note(PLAINLY)


def _squeezed(array: Array) -> int:
    return len(zlib.compress(np.ascontiguousarray(array).tobytes(), 6))


def _zero(context: Context, layer: Layer, values: Array) -> bool:
    """Give a layer other weights. Whether that was let through."""
    node, tensor = layer.node, layer.weight.tensor
    held = constant(tensor)
    if held is None:
        return False
    made = Constant(tensor.name, values)
    inputs = [made if one is tensor else one for one in node.inputs]
    out = Variable(UNNAMED, np.dtype(values.dtype))
    draft = Draft(
        node.op, inputs, [out], dict(node.attrs), node.domain, node.name, node.overload, node.doc_string, node.metadata
    )
    graph = context.editor.home[node]
    rewrite = Rewrite(graph, node, (node,), (draft,), {node.outputs[0]: out}, frozenset({held}))
    return context.apply(rewrite, RULE, Judged()) is not None
