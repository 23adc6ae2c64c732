"""Regions: the connected calls that could run in one of two layouts, those on the two sides of a Transpose.

A region grows from a Transpose x -> y in both directions, through every operator that says how its axes hang
together. Layout 0 is the one in which x lies, layout 1 the one in which y does; each tensor of the region is known in
both, in one of them as it is now. What a Transpose of the region reads and what it makes are two views of one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from graphopt.analysis.inference import key_of
from graphopt.ir import values
from graphopt.ir.types import Graph, Node, Tensor
from graphopt.pipeline.context import Context
from passes.layout.axes import TABLE, Axes, Call, Change, Turned
from passes.layout.orders import Letters, Order, arranged, identity, inverse, lettered, ordered, then

COPY = 1 << 14
"""Bytes of a constant that may be held in two layouts because something else reads it too."""

Layouts = tuple[Order, Order]


class Member(NamedTuple):
    """A call of a region. own: the layout in which it runs now. inputs, outputs: orders in the other; None: untouched.

    constants: positions of constant inputs that the other layout concerns.
    change: what else differs in the call there. slow: whether it would move all elements now, and there.
    """

    node: Node
    own: int
    inputs: tuple[Order | None, ...]
    outputs: tuple[Order | None, ...]
    change: Change
    error: float
    slow: tuple[bool, bool]


@dataclass
class Region:
    """layouts: of each tensor, its order in both layouts. members: in the order in which they were found."""

    graph: Graph
    layouts: dict[Tensor, Layouts] = field(default_factory=dict)
    members: dict[Node, Member] = field(default_factory=dict)
    transposes: dict[Node, None] = field(default_factory=dict)
    outside: dict[Node, str] = field(default_factory=dict)

    def root(self, tensor: Tensor) -> Tensor:
        """The tensor that the Transposes of the region make `tensor` of."""
        producer = tensor.producer
        while producer is not None and producer in self.transposes:
            tensor = producer.inputs[0]
            producer = tensor.producer
        return tensor

    def again(self) -> list[tuple[Tensor, Tensor]]:
        """Results of Transposes that lie as a tensor further up does, with the uppermost such tensor."""
        found: dict[Tensor, Tensor] = {}
        for tensor in self.layouts:
            above, lying = tensor, self.now(tensor)
            while above.producer is not None and above.producer in self.transposes:
                above = above.producer.inputs[0]
                if self.now(above) == lying:
                    found[tensor] = above
        return list(found.items())

    def now(self, tensor: Tensor) -> int:
        """The layout in which a tensor is as it is."""
        first = self.layouts[tensor][0]
        return 0 if first == identity(len(first)) else 1


def permutation(node: Node, rank: int | None) -> Order | None:
    """What a Transpose does; None for any other node, and for one that contradicts itself."""
    if node.op != "Transpose" or node.domain:
        return None
    perm = node.attrs.get("perm")
    if perm is None:
        return None if rank is None else identity(rank)[::-1]
    return tuple(perm) if sorted(perm) == list(range(len(perm))) else None


def grow(context: Context, seed: Node) -> Region | None:
    """The region around a Transpose; None where its rank is unknown or it moves nothing."""
    x, y = seed.inputs[0], seed.outputs[0]
    perm = permutation(seed, context.shapes.rank(x))
    if perm is None or perm == identity(len(perm)) or values.constant(x) is not None:
        return None
    region = Region(context.editor.home[seed])
    as_is = identity(len(perm))
    region.layouts |= {x: (as_is, perm), y: (inverse(perm), as_is)}
    region.transposes[seed] = None
    stack = [y, x]
    while stack:
        tensor = stack.pop()
        for node in _around(context, region, tensor):
            stack += _join(context, region, node, tensor)
    return region


def _around(context: Context, region: Region, tensor: Tensor) -> Iterator[Node]:
    """The nodes of the graph that make and read a tensor, as far as they have not been looked at."""
    first, second = region.layouts[tensor]
    if first == second:
        return
    for node in (tensor.producer, *dict.fromkeys(tensor.outputs)):
        seen = node is None or node in region.members or node in region.transposes or node in region.outside
        if node is not None and not seen and context.editor.home.get(node) is region.graph:
            yield node


def _join(context: Context, region: Region, node: Node, tensor: Tensor) -> list[Tensor]:
    """Take a node into the region if it can be; returns the tensors that are new there."""
    perm = permutation(node, len(region.layouts[tensor][0]))
    if perm is not None:
        return _view(region, node, tensor, perm)
    found = _member(context, region, node, tensor)
    if isinstance(found, str):
        region.outside[node] = found
        return []
    new: dict[Tensor, Layouts] = {}
    for held, order in _operands(found):
        layouts = _pair(order, found.own)
        known = region.layouts.get(held) or new.get(held)
        if known is not None and known != layouts:
            region.outside[node] = f"{held.name} would have to lie in two ways"
            return []
        new[held] = layouts
    region.members[node] = found
    fresh = [held for held in new if held not in region.layouts]
    region.layouts |= new
    return fresh


def _operands(member: Member) -> Iterator[tuple[Tensor, Order]]:
    """The tensors of a call that change with the layout, but for constants, with their order in the other one."""
    pairs = zip((*member.node.inputs, *member.node.outputs), (*member.inputs, *member.outputs), strict=True)
    return ((held, order) for held, order in pairs if order is not None and values.constant(held) is None)


def _pair(order: Order, own: int) -> Layouts:
    as_is = identity(len(order))
    return (order, as_is) if own else (as_is, order)


def _view(region: Region, node: Node, tensor: Tensor, perm: Order) -> list[Tensor]:
    """Take a Transpose into the region if it leads from one of the layouts to the other."""
    forward = node.inputs[0] is tensor
    other = node.outputs[0] if forward else node.inputs[0]
    turn = inverse(perm) if forward else perm
    first, second = (then(turn, order) for order in region.layouts[tensor])
    layouts = (first, second)
    if identity(len(perm)) not in layouts or region.layouts.get(other, layouts) != layouts or values.constant(other):
        region.outside[node] = "it moves axes in another way"
        return []
    region.transposes[node] = None
    fresh = [] if other in region.layouts else [other]
    region.layouts[other] = layouts
    return fresh


def _member(context: Context, region: Region, node: Node, tensor: Tensor) -> Member | str:
    """How a node runs in the other layout, given that of one of its tensors; or why it does not."""
    describe = TABLE.get(key_of(node.op, node.domain))
    call = Call(node, context.shapes, context.editor.graph.opset)
    axes = None if describe is None else describe(call)
    if axes is None:
        return f"{node.op} needs its axes where they are"
    own = region.now(tensor)
    letters = next((held for t, held in _lettered(node, axes) if t is tensor), None)
    given = None if letters is None else lettered(letters, region.layouts[tensor][1 - own])
    if letters is None or given is None:
        return f"{node.op} ({node.name or node.outputs[0].name}) takes {tensor.name} in this layout only"
    turned = _turned(axes, arranged(axes.universe, _hinted(node, axes, tensor, given)))
    change = axes.retune(turned)
    reason = None if change is None else _too_large(node, axes)
    if change is None or reason:
        return reason or f"{node.op} cannot work in the other layout"
    inputs, outputs = (
        tuple(None if old is None else ordered(old, new or ()) for old, new in zip(olds, news, strict=True))
        for olds, news in ((axes.inputs, turned.inputs), (axes.outputs, turned.outputs))
    )
    count = len(node.inputs)
    as_is = _turned(axes, axes.universe)
    return Member(node, own, inputs[:count], outputs, change, axes.error, (axes.slow(as_is), axes.slow(turned)))


def _hinted(node: Node, axes: Axes, tensor: Tensor, given: Letters) -> Letters:
    """The order `given`, with the axes that it leaves open where a Transpose on the other side wants them."""
    for other, letters in _lettered(node, axes):
        if other is not tensor and not set(letters) <= set(given):
            for order in _wishes(other, len(letters)):
                wanted = lettered(letters, order) or ()
                agreed = [one for one in wanted if one in given] == [one for one in given if one in wanted]
                if wanted and agreed:
                    return arranged(given, wanted)
    return given


def _wishes(tensor: Tensor, rank: int) -> Iterator[Order]:
    """The orders in which Transposes beside a tensor would have nothing to do."""
    producer = tensor.producer
    made = None if producer is None else permutation(producer, rank)
    if made is not None:
        yield inverse(made)
    yield from (perm for reader in tensor.outputs if (perm := permutation(reader, rank)) is not None)


def _lettered(node: Node, axes: Axes) -> Iterator[tuple[Tensor, Letters]]:
    pairs = zip((*node.inputs, *node.outputs), (*axes.inputs[: len(node.inputs)], *axes.outputs), strict=False)
    return ((tensor, letters) for tensor, letters in pairs if letters is not None)


def _turned(axes: Axes, order: Letters) -> Turned:
    """The axes of all tensors in the order of the whole."""

    def reordered(held: Letters | None) -> Letters | None:
        return None if held is None else tuple(letter for letter in order if letter in held)

    return Turned(tuple(map(reordered, axes.inputs)), tuple(map(reordered, axes.outputs)))


def _too_large(node: Node, axes: Axes) -> str | None:
    """Why the constants of a call cannot be held in another layout, if so."""
    for tensor, letters in zip(node.inputs, axes.inputs, strict=False):
        held = None if letters is None else values.constant(tensor)
        if held is not None and held.nbytes > COPY and len(set(tensor.outputs)) > 1:
            return f"{tensor.name} is large and used elsewhere"
    return None
