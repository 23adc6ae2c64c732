"""A plan carried out beside the compile: the network that it leads to, and the weights that bring its outputs back."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Array
from graphopt.numerics.contract import Judged
from graphopt.pipeline.context import Context
from passes.prune.curves import Outputs
from passes.prune.cut import cut
from passes.prune.grouping import Grouping
from passes.prune.kind import Kind
from passes.prune.rebuild import rebuild
from passes.prune.recover.layers import Layer, layers
from passes.prune.recover.program import Feeds, Program
from passes.prune.recover.squares import Kept, recovered
from passes.prune.recover.statistics import corrected
from passes.prune.settings import Settings
from passes.prune.targets import Plan

if TYPE_CHECKING:
    from onnx import ModelProto

    from graphopt.ir.types import Node

RECOVERED = "recovered_weights"
UNFITTED = "prune: no layer is fitted, as samples that were held back gain nothing by it"
LONE = "prune: no layer is fitted, as all samples make one batch, and none can be held back to judge a fit by"


@dataclass(frozen=True)
class Work:
    """What a trial takes. original: the model before anything was cut. feeds: samples; None without."""

    context: Context
    grouping: Grouping
    original: Program
    settings: Settings
    feeds: Feeds | None


def tried(work: Work, plan: Plan) -> Context:
    """A copy of the model with the plan carried out and its outputs brought back."""
    copy = Context(load(work.original.path), target=work.context.target)
    grouping = Grouping(copy.model, copy.shapes, averaged=Kind.WIDTH in work.settings.kinds)
    twins = {group.name: group for group in grouping.groups}
    cut(copy, grouping, {twins[group.name]: gone for group, gone in plan.items() if len(gone)})
    apply(copy, grouping, weights_for(work, copy.model, grouping, plan))
    return copy


def bare(work: Work, plan: Plan) -> ModelProto:
    """The model with the plan carried out and nothing else."""
    without = replace(work, settings=replace(work.settings, recover="none"))
    return tried(without, plan).model.to_proto()


def loss_of(work: Work, plan: Plan, folder: Path) -> float:
    """How much worse the model is by the user's metric with a plan carried out."""
    if work.context.goal is None:
        raise LookupError("there is no metric")
    path = folder / "trial.onnx"
    tried(work, plan).model.save(path)
    return work.context.goal.loss(path)


def carry_out(work: Work, plan: Plan) -> None:
    """Cut the model of the compile, and bring its outputs back."""
    wanted = {group: gone for group, gone in plan.items() if len(gone)}
    done = set(cut(work.context, work.grouping, wanted))
    made = {group: gone for group, gone in wanted.items() if group in done}
    weights = weights_for(work, work.context.model, work.grouping, made)
    if made and work.feeds is not None and work.settings.recover != "none" and not weights:
        work.context.note(UNFITTED if work.feeds.held.count else LONE)
    apply(work.context, work.grouping, weights)


def weights_for(work: Work, model: Model, grouping: Grouping, plan: Plan) -> Mapping[str, Array]:
    """Weights, by name, that bring back the outputs of a model that was cut by a plan. Found once in a compile."""
    if work.settings.recover == "none" or work.feeds is None or not any(map(len, plan.values())):
        return {}
    key = _key(work, plan)
    if key not in work.context.memo:
        work.context.memo[key] = _found(work, work.feeds, Program(model), list(_behind(model, grouping)), grouping.kept)
    found: Mapping[str, Array] = work.context.memo[key]
    return found


def _found(work: Work, feeds: Feeds, cut: Program, behind: Iterable[Layer], kept: Kept) -> Mapping[str, Array]:
    """The weights with which outputs are nearest to the original's, on samples that were held back, of those after
    each layer that is fitted: what helps a layer may harm what comes behind it. None if nothing helps."""
    if not feeds.held.count:
        return {}
    judge, say = Outputs(work.original, feeds.held), work.context.say
    if work.settings.recover == "squares":
        steps = recovered(work.original, cut, behind, feeds, kept, seed=work.settings.seed, say=say)
    else:
        steps = corrected(work.original, cut, behind, feeds, kept, say=say)
    best: Mapping[str, Array] = {}
    least = judge.loss({}, cut)
    for _ in steps:
        loss = judge.loss({}, cut)
        if loss < least:
            best, least = dict(cut.weights), loss
    return best


def _key(work: Work, plan: Plan) -> Hashable:
    gone = tuple(sorted((group.name, tuple(sorted(atoms.tolist()))) for group, atoms in plan.items() if len(atoms)))
    data = "" if work.feeds is None else work.feeds.data.fingerprint()
    return ("prune", work.original.fingerprint(), data, work.settings, gone)


def _behind(model: Model, grouping: Grouping) -> Iterable[Layer]:
    """The layers of which something was cut, and those behind them."""
    changed = {name for name, _ in grouping.kept}
    for node in model.graph.nodes:
        if any(tensor.name in changed for tensor in (*node.inputs, *node.outputs)):
            changed.update(tensor.name for tensor in node.outputs)
    for layer in layers(model):
        if layer.node.outputs[0].name in changed:
            yield layer


def apply(context: Context, grouping: Grouping, weights: Mapping[str, Array]) -> None:
    """Give layers other weights, one layer at a time."""
    if not weights:
        return
    before: dict[Node, Node] = {now: was for was, now in grouping.now.items()}
    for layer in list(layers(context.model)):
        places = [place for place in (layer.weight, layer.bias) if place is not None]
        held = [place for place in places if place.tensor.name in weights]
        for node in dict.fromkeys(place.node for place in held):
            values = {place.position: weights[place.tensor.name] for place in held if place.node is node}
            was = before.get(node, node)
            rebuild(context, grouping, [was], RECOVERED, Judged(), values={was: values})
    context.editor.flush()
