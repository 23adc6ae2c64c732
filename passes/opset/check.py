"""Whether a node computes in the new version what it computed in the old one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import onnx

from graphopt.analysis.shapes import Shapes
from graphopt.ir.edit import UNNAMED, Draft
from graphopt.ir.types import Constant, Tensor, subgraphs
from graphopt.ir.words import counted
from graphopt.numerics.domains import domain_of
from graphopt.numerics.feeds import FeedPlan, InputSpec
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.numerics.region import SMALL, Region
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Verdict
from passes.opset.raising import Raised, raise_node

SECONDS = 60.0
STATUS = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}


def check(context: Context, raised: Sequence[Raised], target: int) -> Verdict:
    """The verdict on all nodes whose definition changed: the first that is wrong, else one that cannot be checked.

    Nodes that are spelled as before, whose definition was found to say the same, need not be checkable.
    """
    known: dict[Hashable, Verdict] = {}
    unverified: Verdict | None = None
    for one in raised:
        if not one.examined or one.node.op == "Constant" or any(True for _ in subgraphs(one.node)):
            continue
        verdict = _verdict(context, one, target, known)
        if verdict.status is Status.WRONG:
            return verdict
        if verdict.status is Status.UNVERIFIED and one.call.changed:
            unverified = unverified or verdict
    return unverified or Verdict(Status.VERIFIED, 0.0, f"{counted(len(known), 'kind')} of nodes run in both versions")


def _verdict(context: Context, raised: Raised, target: int, known: dict[Hashable, Verdict]) -> Verdict:
    if nondeterministic(raised.node):
        return Verdict(Status.UNVERIFIED, detail=f"{raised.node!r} draws random numbers")
    region = _region(context, raised, target)
    if region is None:
        return Verdict(Status.UNVERIFIED, detail=f"a shape or type of {raised.node!r} is unknown")
    key: Hashable = id(raised) if region.key is None else region.key
    if key not in known:
        before, after = region.models()
        (feed,) = region.feeds
        plans = [FeedPlan(feed, 0, "normal"), FeedPlan(feed, 0, "edge", overflow=True)]
        result = context.runner.check_pair(before, _in_version(after, target), plans, raised.numerics, limit_s=SECONDS)
        error = None if result.worst is None else result.worst.k
        known[key] = Verdict(STATUS[result.verdict], error, f"{raised.node!r}: {result.reason}")
    return known[key]


def _in_version(content: bytes, target: int) -> bytes:
    """The model, importing this version of ai.onnx."""
    model = onnx.ModelProto.FromString(content)
    for imported in model.opset_import:
        if not imported.domain:
            imported.version = target
    return bytes(model.SerializeToString(deterministic=True))


def _region(context: Context, raised: Raised, target: int) -> Region | None:
    """The node alone, in both versions; small integers that are known are constants. None if it cannot be fed."""
    node, shapes = raised.node, context.bound[0]
    inputs = [_known(tensor, shapes) for tensor in node.inputs]
    again = raise_node(node, inputs, shapes, context.model.graph.opset, target)
    fed = {t: f"i{at}" for at, t in enumerate(dict.fromkeys(inputs)) if t.name and not _keeps_values(t)}
    specs = [_spec(tensor, name, shapes) for tensor, name in fed.items()]
    if again is None or None in specs:
        return None
    feed = tuple(spec for spec in specs if spec is not None)
    after, replace = again.call.drafts()
    old = [tensor for tensor in node.outputs if tensor in replace]
    before = Draft(node.op, inputs, list(node.outputs), node.attrs)
    made = [t for draft in after for t in draft.inputs if isinstance(t, Constant)]
    kept = {t: f"c{at}" for at, t in enumerate(dict.fromkeys([*inputs, *made])) if t.name and t not in fed}
    kept = {tensor: name for tensor, name in kept.items() if isinstance(tensor, Constant)}
    dtypes = {tensor: shapes.dtype(tensor) for tensor in (*fed, *old)}
    new = tuple(replace[tensor] for tensor in old)
    sides = ((before,), after, tuple(old), new)
    return Region(context.model, *sides, fed, kept, dtypes, own_names=False, feeds=(feed,))


def _known(tensor: Tensor, shapes: Shapes) -> Tensor:
    """A constant in place of a tensor whose values are small integers that are known when all dimensions are bound."""
    if not tensor.name or isinstance(tensor, Constant):
        return tensor
    values = shapes.known(tensor)
    return tensor if values is None else Constant(UNNAMED, values)


def _keeps_values(tensor: Tensor) -> bool:
    return isinstance(tensor, Constant) and (tensor.nbytes <= SMALL or tensor.dtype.kind in "iub")


def _spec(tensor: Tensor, name: str, shapes: Shapes) -> InputSpec | None:
    dtype, static = shapes.dtype(tensor), shapes.static(tensor)
    return None if dtype is None or static is None else InputSpec(name, dtype, static, domain_of(tensor, shapes))
