"""Channels of an activation that are small beside others are made larger, for they share one scale with them.

What computes the activation gives channel i divided by s_i, and what reads it multiplies with s_i, both in their
weights: between two convolutions cross-layer equalisation (Nagel et al., 2019), after a normalisation SmoothQuant (Xiao
et al., 2023). Every s is a power of two, so that no number changes by a rounding. How far to go, from not at all to all
channels alike, is where the noise of the activation and that of the weights that read it are least together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.calibration.activations import activations
from graphopt.data.source import Data
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.model import Model
from graphopt.ir.types import MATRIX, Array, Constant, Node, Tensor, Variable
from graphopt.numerics.contract import Exact
from graphopt.pipeline.context import Context

RULE = "equalise_channels"
SAMPLES = 64
LEVELS, HALF_LEVELS = 255, 127
WORTH = 0.9
"""The noise that is left, as a share, if it is to be done."""
SHARES = (0.25, 0.5, 0.75, 1.0)
HOMOGENEOUS = frozenset({"Relu", "LeakyRelu"})
"""Functions that a positive factor passes through."""
SCALED = {
    ("", "Conv"): (1, 2),
    ("", "BatchNormalization"): (1, 2),
    ("", "LayerNormalization"): (1, 2),
    ("", "SimplifiedLayerNormalization"): (1,),
    ("", "RMSNormalization"): (1,),
    ("com.microsoft", "SkipLayerNormalization"): (2, 3),
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): (2,),
}
"""The operands, of what computes an activation, that have a value for each of its channels along their first axis.
Further outputs have none of their channels scaled."""
OF_PICTURES = frozenset({"Conv", "BatchNormalization"})
"""Have their channels along axis 1; the others along the last."""
WITH_MATRICES = frozenset({"Conv", "MatMul", "Gemm"})


@dataclass(frozen=True)
class Site:
    """An activation that can be equalised. maker: computes it, `through` a function or none. readers: its products."""

    maker: Node
    through: Node | None
    readers: tuple[Node, ...]

    @property
    def tensor(self) -> Tensor:
        """What is equalised."""
        return (self.through or self.maker).outputs[0]

    def after(self, now: Mapping[Node, Node]) -> Site:
        """The same site once nodes have been replaced."""
        through = None if self.through is None else now.get(self.through, self.through)
        return Site(now.get(self.maker, self.maker), through, tuple(now.get(node, node) for node in self.readers))

    @property
    def axis(self) -> int:
        """Of the channels of the activation."""
        return 1 if self.maker.op in OF_PICTURES else -1


@dataclass(frozen=True)
class Channels:
    """reach: the largest magnitude in each channel. power: the mean square in each."""

    reach: Array
    power: Array


def equalise(context: Context) -> None:
    """Equalise every activation where that is worth it. Without data nothing is done."""
    sites = list(_sites(context))
    if context.calibration is None or not sites:
        return
    found = _channels(context.model, context.calibration, sites)
    now: dict[Node, Node] = {}
    for site in sites:
        factors = _factors(site, found[site.tensor.name]) if site.tensor.name in found else None
        if factors is not None:
            rewrite = _rewrite(context, site.after(now), factors)
            made = context.apply(rewrite, RULE, Exact())
            now |= zip(rewrite.before, made or rewrite.before, strict=True)
    context.begin(context.step)


def _sites(context: Context) -> Iterator[Site]:
    for maker in context.model.graph.nodes:
        places = SCALED.get((maker.domain, maker.op))
        if places is None or not maker.outputs[0].name or not _own(maker, places):
            continue
        made = maker.outputs[0]
        through = made.outputs[0] if len(made.outputs) == 1 and made.outputs[0].op in HOMOGENEOUS else None
        site = Site(maker, through, tuple(dict.fromkeys((through.outputs[0] if through else made).outputs)))
        ends = [made, site.tensor]
        if (
            site.readers
            and not any(map(context.editor.is_output, ends))
            and all(_reads(node, site) for node in site.readers)
        ):
            yield site


def _own(node: Node, places: tuple[int, ...]) -> bool:
    """Whether operands are floating constants that nothing else reads; those after the first may be left out."""
    held = [node.inputs[place] for place in places if place < len(node.inputs) and node.inputs[place].name]
    plain = all(isinstance(one, Constant) and one.dtype == np.float32 and len(one.outputs) == 1 for one in held)
    plain &= node.op in WITH_MATRICES or all(len(one.shape or ()) == 1 for one in held)
    return bool(held) and plain


def _reads(node: Node, site: Site) -> bool:
    """Whether a reader multiplies the activation with weights of its own, channel by channel."""
    if node.domain or node.inputs[0] is not site.tensor or node.inputs.count(site.tensor) > 1 or not _own(node, (1,)):
        return False
    if node.op == "Conv":
        groups = node.attrs.get("group", 1)
        return site.axis == 1 and groups in (1, (node.inputs[1].shape or (0,))[0])
    flat = node.op == "MatMul" or (node.op == "Gemm" and not node.attrs.get("transA", 0))
    return flat and site.axis == -1 and len(node.inputs[1].shape or ()) == MATRIX


def _channel_axis(reader: Node) -> int:
    """Of a reader's weight: where it has the channels of what it reads."""
    if reader.op == "Conv":
        return 1 if reader.attrs.get("group", 1) == 1 else 0
    return int(bool(reader.attrs.get("transB", 0)))


def _channels(model: Model, data: Data, sites: list[Site]) -> Mapping[str, Channels]:
    """What the channels of each activation hold, on samples."""
    axes = {site.tensor.name: site.axis for site in sites}
    found: dict[str, Channels] = {}
    counts: dict[str, int] = dict.fromkeys(axes, 0)
    for batch in activations(model, data, [site.tensor for site in sites], samples=SAMPLES):
        for name, values in batch.items():
            rows = np.moveaxis(values, axes[name], 0).reshape(values.shape[axes[name]], -1).astype(np.float64)
            if not rows.size:
                continue
            reach, power = np.abs(rows).max(axis=1), np.square(rows).sum(axis=1)
            held = found.get(name, Channels(np.zeros_like(reach), np.zeros_like(power)))
            found[name] = Channels(np.maximum(held.reach, reach), held.power + power)
            counts[name] += rows.shape[1]
    return {name: Channels(one.reach, one.power / counts[name]) for name, one in found.items()}


def _factors(site: Site, seen: Channels) -> Array | None:
    """The factor of each channel, or None where none is worth it, or the samples are not finite."""
    most = seen.reach.max(initial=0.0)
    if not np.isfinite(most) or not np.isfinite(seen.power).all() or not most:
        return None
    weights = [_by_channel(node, np.asarray(node.inputs[1].values, np.float64)) for node in site.readers]
    logarithm = np.log2(np.where(seen.reach > 0, seen.reach, most) / most)
    tried = [np.exp2(np.rint(share * logarithm)) for share in SHARES]
    noises = [_noise(seen, weights, factors) for factors in tried]
    best = int(np.argmin(noises))
    return tried[best] if noises[best] < WORTH * _noise(seen, weights, np.ones_like(logarithm)) else None


def _by_channel(reader: Node, weight: Array) -> Array:
    """A weight as (channels read, channels computed, rest)."""
    moved = np.moveaxis(weight, _channel_axis(reader), 0)
    return moved.reshape(len(moved), moved.shape[1], -1)


def _noise(seen: Channels, weights: list[Array], factors: Array) -> float:
    """The variance that rounding adds to what readers compute, up to a constant: of the activation, and of weights."""
    step = (seen.reach / factors).max() / LEVELS
    power = seen.power / factors**2

    def of(weight: Array) -> float:
        scaled = weight * factors[:, None, None]
        steps = np.abs(scaled).max(axis=(0, 2), initial=0.0) / HALF_LEVELS
        return float(step**2 * np.square(scaled).sum() + np.square(steps).sum() * power.sum() * weight.shape[2])

    return sum(map(of, weights))


def _rewrite(context: Context, site: Site, factors: Array) -> Rewrite:
    """The same calls with other weights."""
    before = tuple(node for node in (site.maker, site.through, *site.readers) if node is not None)
    reads: list[Constant] = []
    drafts: list[Draft] = []
    replace: dict[Tensor, Tensor] = {}
    now: dict[Tensor, Tensor] = {}
    for node in before:
        inputs = [now.get(tensor, tensor) for tensor in node.inputs]
        places = SCALED[node.domain, node.op] if node is site.maker else (1,) if node in site.readers else ()
        for place in places:
            held = node.inputs[place] if place < len(node.inputs) else None
            if isinstance(held, Constant):
                reads.append(held)
                axis = 0 if node is site.maker else _channel_axis(node)
                by = 1 / factors if node is site.maker else factors
                inputs[place] = Constant(UNNAMED, _scaled(np.asarray(held.values), by, axis))
        made = [Variable(UNNAMED if tensor.name else "") for tensor in node.outputs]
        drafts.append(Draft(node.op, inputs, made, dict(node.attrs), node.domain, node.name))
        now[node.outputs[0]] = made[0]
        kept = slice(0 if node in site.readers else 1, None)
        replace |= {old: new for old, new in zip(node.outputs[kept], made[kept], strict=True) if old.name}
    graph = context.editor.home[site.maker]
    return Rewrite(graph, site.maker, before, tuple(drafts), replace, frozenset(reads), unsorted=True)


def _scaled(values: Array, factors: Array, axis: int) -> Array:
    shape = [1] * values.ndim
    shape[axis] = -1
    made: Array = (values * factors.reshape(shape)).astype(values.dtype)
    return made
