"""Random small models: fragments over the operators that rules mention, true spellings of patterns and near misses.

Every node is run by ONNX Runtime as it is added, so what comes out is valid, and its inputs come with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from graphopt.numerics.failure import RunFailure
from graphopt.numerics.session import Session
from tests.laws.fragments import blocks, positions
from tests.laws.fragments.attention import attention, rotary
from tests.laws.fragments.builder import MOST_ELEMENTS, Array, Builder, captured, info
from tests.laws.fragments.control import branch, loop
from tests.laws.fragments.elementwise import (
    binary,
    cast,
    clip,
    compare_and_choose,
    logic,
    minmax,
    power,
    same_twice,
    unary,
    where_constant,
    with_constant,
)
from tests.laws.fragments.linear import convolution, gemm, normalised, pooling, product, product_of_values
from tests.laws.fragments.movement import (
    again,
    concat,
    dropout,
    expand,
    filled,
    flatten,
    gather,
    reduction,
    reshape,
    resize,
    shape_arithmetic,
    slicing,
    split,
    squeeze,
    tile,
    transpose,
)
from tests.laws.fragments.spelled import (
    gelu,
    gelu_tanh,
    group_norm,
    hard_swish,
    layer_norm,
    leaky,
    length,
    mish,
    rms_norm,
    softmax,
    softmax_operator,
    swish,
)

FRAGMENTS_AT_ONCE = 12
FLOATS = (np.float32, np.float32, np.float32, np.float32, np.float64, np.float16)

FRAGMENTS: tuple[Callable[[Builder], object], ...] = (
    unary, unary, binary, with_constant, with_constant, power, same_twice, clip, minmax, cast, cast,
    compare_and_choose, where_constant, logic, normalised, convolution, convolution, pooling, product, gemm,
    product_of_values, reshape, reshape, flatten, transpose, squeeze, slicing, slicing, concat, split, gather, expand,
    tile, filled, shape_arithmetic, reduction, resize, dropout, again, gelu, gelu_tanh, swish, hard_swish, mish, leaky,
    layer_norm, rms_norm, group_norm, softmax, softmax_operator, length, branch, loop,
)  # fmt: skip
BLOCKS: tuple[Callable[[Builder], object], ...] = (
    attention, attention, attention, attention, rotary, blocks.residual, blocks.residual, blocks.activated,
    blocks.activated, blocks.parallel_convs, blocks.convs_in_a_row, blocks.products, blocks.products, blocks.far_factor,
    blocks.far_factor, blocks.between_transposes, blocks.between_transposes, blocks.biased_activation,
    positions.embedding, positions.embedding, positions.class_token, positions.roll, positions.mask, positions.uniform,
    positions.repeated, positions.grid, positions.sizes,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A model, and what to feed it at each of two sizes of its free dimensions."""

    model: onnx.ModelProto
    feeds: tuple[dict[str, Array], dict[str, Array]]


def random_model(seed: int) -> Case:
    """The model of a seed, and its inputs. The same on every machine with the same ONNX Runtime."""
    rng = random.Random(seed)
    while True:
        case = _attempted(rng)
        if _runs(case):
            return case


def _runs(case: Case) -> bool:
    """Whether the runtime takes the model as a whole: it knows more reasons to refuse than those of its nodes."""
    try:
        with Session(case.model.SerializeToString()) as session:
            for feeds in case.feeds:
                session.run(feeds)
    except RunFailure:
        return False
    return True


def _attempted(rng: random.Random) -> Case:
    opset = rng.choice([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24])
    g = Builder(rng, opset, rng.choice(FLOATS), rng.choice([(2, 3), (1, 4), (3, 2), (5, 1)]))
    for _ in range(rng.choice([1, 1, 2, 3])):
        rank = rng.choice([0, 1, 2, 2, 3, 3, 4])
        dtype = g.dtype if rng.random() < 0.85 else rng.choice([np.int64, np.int32, np.bool_, np.float32])
        g.feed([rng.choice([None, None, 1, 2, 3, 4]) for _ in range(rank)], dtype)
    most = rng.choice([3, 5, 8, 12, 15])
    for _ in range(4 * FRAGMENTS_AT_ONCE):
        if len(g.nodes) >= most:
            break
        g.attempt(rng.choice(rng.choice((FRAGMENTS, BLOCKS))))
    return _finished(g)


def _finished(g: Builder) -> Case:
    rng = g.rng
    used = {name for node in g.nodes for name in (*node.input, *captured(node))}
    produced = {name for node in g.nodes for name in node.output}
    loose = [v for v in g.values if v.name in produced and v.name not in used]
    outputs = [v for v in loose if rng.random() < 0.9] + g.wanted
    outputs += [v for v in g.values if v.name in produced and rng.random() < 0.05]
    given = {t.name for t in g.initializers}
    outputs += [v for v in g.values if v.name in given and v not in g.overridable and rng.random() < 0.05]
    outputs += [v for v in g.inputs if rng.random() < 0.05]
    outputs = list(dict.fromkeys(outputs)) or [g.values[-1] if g.values[-1].name in produced else g.inputs[0]]
    names = {a: f"N{a}" for a in range(MOST_ELEMENTS)} | {g.free[0]: "N"}
    graph = helper.make_graph(
        g.nodes, rng.choice(["graph", "g", "a graph", names[g.free[0]]]),
        [info(v, names) for v in (*g.inputs, *g.overridable)],
        [info(v) for v in outputs],
        g.initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=g.imports(), ir_version=8)
    if rng.random() < 0.5:
        inferred = onnx.shape_inference.infer_shapes(model)
        if rng.random() < 0.5:
            del inferred.graph.value_info[:]
        model = inferred
    feeds = tuple({v.name: v.arrays[i] for v in g.inputs} for i in range(2))
    return Case(model, (feeds[0], feeds[1]))
