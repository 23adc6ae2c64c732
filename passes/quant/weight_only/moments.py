"""What products are fed on the calibration data, in as few numbers as rounding their weights needs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from graphopt.calibration.serving import defaults, served
from graphopt.ir.dtypes import elem_type
from graphopt.ir.types import Array
from passes.quant.linear import Linear

if TYPE_CHECKING:
    import onnx

    from graphopt.data.source import Data
    from graphopt.pipeline.context import Context

AT_A_TIME = 1 << 29
"""Bytes of sums that are kept while the model runs; for more it runs again."""
ROWS = 64


@dataclass(eq=False)
class Moments:
    """Of the vectors that a product is fed. gram: float64 (terms, terms), the sum of their outer products.

    magnitude: float64 (terms,), the sum of their absolute values. rows: the first of them. count: how many there were.
    """

    gram: Array
    magnitude: Array
    rows: Array
    count: int = 0

    @classmethod
    def none(cls, terms: int) -> Moments:
        """Of no vectors yet."""
        return cls(np.zeros((terms, terms)), np.zeros(terms), np.zeros((0, terms), np.float32))

    def add(self, values: Array) -> None:
        """Take in an activation, of any rank, whose last axis is the vectors'; what is not finite is left out."""
        vectors = values.reshape(-1, values.shape[-1]).astype(np.float32)
        vectors = vectors[np.isfinite(vectors).all(axis=1)]
        self.gram += vectors.T @ vectors
        self.magnitude += np.abs(vectors).sum(axis=0, dtype=np.float64)
        self.rows = np.concatenate([self.rows, vectors[: ROWS - len(self.rows)]])
        self.count += len(vectors)


def moments(context: Context, linears: Sequence[Linear], samples: int) -> dict[str, Moments]:
    """Those of every product of the outermost graph, by the name of what it is fed; taken once in a compile."""
    data = context.calibration
    outer = [linear for linear in linears if linear.graph is context.model.graph]
    key: Hashable = ("quant", "moments", tuple(linear.x.name for linear in outer), samples)
    if data is None:
        return {}
    if key not in context.memo:
        context.editor.flush()
        found: dict[str, Moments] = {}
        for group in _groups({linear.x.name: linear for linear in outer}):
            found |= _observed(context, group, data, samples)
        context.memo[key] = found
    result: dict[str, Moments] = context.memo[key]
    return result


def _groups(linears: Mapping[str, Linear]) -> Iterator[dict[str, Linear]]:
    """Products whose sums are kept at a time."""
    group: dict[str, Linear] = {}
    for name, linear in linears.items():
        group[name] = linear
        if sum(8 * one.rows**2 for one in group.values()) > AT_A_TIME:
            yield group
            group = {}
    if group:
        yield group


def _observed(context: Context, linears: Mapping[str, Linear], data: Data, samples: int) -> dict[str, Moments]:
    found = {name: Moments.none(linear.rows) for name, linear in linears.items()}
    context.say(f"calibrating {len(found)} products")
    known = defaults(context.model)
    with served(context.model, _returning(linears), threads=None) as (session, _):
        for batch in data.batches(limit=samples):
            given = {**known, **batch.feeds, **session.run(batch.feeds)}
            for name, one in found.items():
                one.add(given[name])
    return {name: one for name, one in found.items() if one.count}


def _returning(linears: Mapping[str, Linear]) -> Callable[[onnx.ModelProto], None]:
    """The change that makes a model return what products are fed."""

    def change(proto: onnx.ModelProto) -> None:
        import onnx

        known = {value.name for value in (*proto.graph.output, *proto.graph.input)}
        for name, linear in linears.items():
            if name not in known:
                proto.graph.output.append(onnx.helper.make_tensor_value_info(name, elem_type(linear.dtype), None))

    return change
