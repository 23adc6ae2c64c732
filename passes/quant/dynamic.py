"""Dynamic quantisation: weights in 8-bit integers, activations too, on grids that are found while the model runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from graphopt.errors import UsageError
from graphopt.ir import walk
from graphopt.ir.edit import UNNAMED, Rewrite
from graphopt.ir.types import Array, Constant, Graph, Node, Tensor
from graphopt.ir.values import constant
from graphopt.numerics.contract import Lossy
from graphopt.pipeline.context import Context
from graphopt.pipeline.passes import check_names
from graphopt.rewrite.driver import Refusal
from graphopt.rewrite.tape import Builder
from graphopt.target import CPU, ORT
from passes.quant import columns, floats
from passes.quant.embeddings import embeddings
from passes.quant.fused import prepare
from passes.quant.grid import INT8, Grid, symmetric
from passes.quant.linear import Linear, linears
from passes.quant.options import Settings
from passes.quant.ordinary import ordinary
from passes.quant.processor import integers_of
from passes.quant.weight_only.unpacked import unpack

RULE, ATTENTION_RULE = "dynamic_product", "dynamic_attention"
FLOOR = 20.0
MICROSOFT = "com.microsoft"
FLOAT = np.dtype(np.float32)
INFINITE = "its weights are not all finite"
EXTRA = ("qkv_hidden_sizes", "past_present_share_buffer", "do_rotary", "rotary_embedding_dim")
"""Attributes of Attention with which its kernels for integers do something else, or nothing."""
ATTENTION_BIAS = 5
"""The position of what Attention adds to scores, which QAttention cannot."""


def run(context: Context, settings: Settings) -> None:
    """Fuse what can be fused, then compute every product with constant weights in integers.

    Raises UsageError where the target does not find grids while it runs.
    """
    integers = integers_of(context.target)
    if not integers.kernels or not integers.requantises:
        raise UsageError(
            f"dynamic quantisation is for processors, not for the target {integers.name}: choose a scheme for weights "
            "only (int8, int4, fp8)"
        )
    check_names(context.model, (*settings.exclude, *settings.only))
    with _on_processors(context):
        prepare(context)
    writer = Writer(context, settings.bits or integers.bits, settings)
    unpack(context, settings, lambda node: bool(writer.obstacle(node)))
    for linear in linears(context, RULE):
        if settings.wants(linear.node):
            writer.product(linear)
    for graph in walk.graphs(context.model.graph):
        for node in list(graph.nodes):
            if (node.domain, node.op) == (MICROSOFT, "Attention") and settings.wants(node):
                writer.attention(graph, node)
    embeddings(context, settings)
    if context.checks:
        refused = [one for one in context.journal.refusals.values() if one.rule in (RULE, ATTENTION_RULE)]
        floats.report(context, {one.root.partition(" ")[2]: one.reason for one in refused})


@contextlib.contextmanager
def _on_processors(context: Context) -> Iterator[None]:
    """The default target without what is slow on processors: what is quantised like this runs nowhere else."""
    given = context.target
    context.target = replace(ORT, slow=CPU.slow) if given is ORT else given
    try:
        yield
    finally:
        context.target = given


@dataclass(eq=False)
class Writer:
    """Makes the rewrites.

    weights: those that are quantised, by what they were. activations: the node that quantises a tensor, so that those
    who read it share it.
    """

    context: Context
    bits: int
    settings: Settings
    weights: dict[object, Weight] = field(default_factory=dict)
    activations: dict[Tensor, Node] = field(default_factory=dict)

    @property
    def numerics(self) -> Lossy:
        """What each product promises."""
        return Lossy("sqnr", FLOOR if self.settings.floor is None else self.settings.floor)

    def product(self, linear: Linear) -> None:
        """MatMul, FusedMatMul or Gemm with a constant matrix."""
        if linear.dtype != FLOAT:
            self.refuse(RULE, linear.node, f"it computes in {linear.dtype}, and integer products give float only")
            return
        weight = self.weights.get(linear.key) or self.stored(linear.matrix())
        if weight is None:
            self.refuse(RULE, linear.node, INFINITE)
            return
        self.weights[linear.key] = weight
        new = Builder(lambda: FLOAT)
        quantised, before = self.quantised(new, linear.x)
        result = product(new, quantised, weight)
        bias = linear.bias()
        summand = linear.scaled_summand(new) if bias is None else bias
        if summand is not None:
            result = new.Add(result, summand)
        evidence = None
        if self.context.checks and columns.is_large(linear):
            evidence = columns.verdict(self.context, linear, self.some(linear, weight), self.numerics)
        replace = {linear.node.outputs[0]: result}
        before = (*linear.before, *before)
        rewrite = Rewrite(linear.graph, linear.node, before, tuple(new.drafts), replace, linear.reads)
        self.commit(linear.x, self.context.apply(rewrite, RULE, self.numerics, evidence))

    def some(self, linear: Linear, weight: Weight) -> columns.Write:
        """The product with some columns."""

        def write(new: Builder, x: Tensor) -> Tensor:
            return product(
                new, tuple(new.node("DynamicQuantizeLinear", x, outputs=3)), weight.part(columns.some(linear))
            )

        return write

    def attention(self, graph: Graph, node: Node) -> None:
        """Attention with its three projections in one matrix, as QAttention."""
        held = constant(node.inputs[1])
        reason = "its weight is no constant" if held is None else self.obstacle(node)
        weight = None if held is None or reason is not None else self.stored(held.values)
        if held is None or weight is None:
            self.refuse(ATTENTION_RULE, node, reason or INFINITE)
            return
        new, x = Builder(lambda: FLOAT), node.inputs[0]
        (integers, scale, zero), before = self.quantised(new, x)
        rest = [tensor if tensor.name else None for tensor in node.inputs[3:ATTENTION_BIAS]]
        mask, past = (*rest, None, None)[:2]
        bias = node.inputs[2] if node.inputs[2].name else np.zeros(held.shape[1], np.float32)
        operands = (integers, weight.integers, bias, scale, weight.scales, mask, zero, weight.zero, past)
        attrs = {name: value for name, value in node.attrs.items() if name not in EXTRA}
        made = new.node(
            "QAttention", *operands, domain=MICROSOFT, outputs=len(node.outputs),
            omitted=[i for i, tensor in enumerate(node.outputs) if not tensor.name], **attrs,
        )  # fmt: skip
        results = made if isinstance(made, list) else [made]
        replace = {old: tensor for old, tensor in zip(node.outputs, results, strict=True) if old.name}
        rewrite = Rewrite(graph, node, (node, *before), tuple(new.drafts), replace, frozenset({held}))
        self.commit(x, self.context.apply(rewrite, ATTENTION_RULE, self.numerics, feeds=ordinary(self.context)))

    def obstacle(self, node: Node) -> str | None:
        """Why an Attention cannot be QAttention."""
        lacking = [name for name in EXTRA if node.attrs.get(name)]
        if lacking:
            return f"QAttention has no attribute {lacking[0]}"
        if any(tensor.name for tensor in node.inputs[ATTENTION_BIAS:]):
            return "QAttention adds nothing to scores"
        if self.context.shapes.dtype(node.inputs[0]) != FLOAT:
            return "it is not known to compute in float"
        return self.context.target.lacks("QAttention", MICROSOFT, FLOAT)

    def stored(self, values: Array) -> Weight | None:
        """A matrix with a scale for each column; None if it is not finite."""
        reach = np.maximum(values.max(axis=0, initial=0), -values.min(axis=0, initial=0))
        if not np.isfinite(reach).all():
            return None
        grid = symmetric(reach, INT8, self.bits, axis=1)
        return Weight.of(values, grid)

    def quantised(self, new: Builder, x: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Node, ...]]:
        """A tensor in integers, with its scale and zero; and the node that is to be part of the region, if there is."""
        node = self.activations.get(x)
        if node is not None and self.context.editor.alive(node):
            integers, scale, zero = node.outputs
            return (integers, scale, zero), (node,)
        integers, scale, zero = new.node("DynamicQuantizeLinear", x, outputs=3)
        return (integers, scale, zero), ()

    def commit(self, x: Tensor, made: list[Node] | None) -> None:
        """Remember who quantises a tensor."""
        self.activations.update((x, node) for node in made or () if node.op == "DynamicQuantizeLinear")

    def refuse(self, rule: str, node: Node, reason: str) -> None:
        """Say why a node stays as it is."""
        label = f"{node.op} {node.name or node.outputs[0].name}"
        self.context.refuse(Refusal(rule, label, label, 2, reason))


@dataclass(frozen=True, eq=False)
class Weight:
    """A matrix in integers: int8 (rows, columns), a float32 scale for each column, and their zero, which is 0."""

    integers: Constant
    scales: Constant
    zero: Constant

    @classmethod
    def of(cls, values: Array, grid: Grid) -> Weight:
        """The nearest points of a grid."""
        arrays = (grid.quantise(values), grid.scale, np.zeros((), np.int8))
        return cls(*(Constant(UNNAMED, array) for array in arrays))

    def part(self, some: slice) -> Weight:
        """Some columns."""
        arrays = (self.integers.values[:, some], self.scales.values[some], self.zero.values)
        return Weight(*(Constant(UNNAMED, array) for array in arrays))


def product(new: Builder, quantised: tuple[Tensor, Tensor, Tensor], weight: Weight) -> Tensor:
    """The float product, spelled as runtimes look for it."""
    integers, scale, zero = quantised
    total = new.MatMulInteger(integers, weight.integers, zero, weight.zero)
    return new.Mul(new.Cast(total, to=1), new.Mul(scale, weight.scales))
