"""Products with weights: convolutions and matrix products."""

from __future__ import annotations

from collections.abc import Sequence

from passes.prune.ties.call import Call, Change, Kept, aligned, index, ties
from passes.prune.ties.role import Role, Untold

SLIDES = "{op} slides along it"


def _groups(call: Call, kept: Kept) -> Change:
    """A depthwise convolution has as many groups as are left; any other keeps its groups, all of equal width."""
    left = kept.own(call.node)
    return Change() if left is None else Change({"group": len(left)})


@ties("Conv", "com.microsoft.FusedConv", retune=_groups)
def conv(call: Call) -> None:
    """Output channels are rows of the weight; input channels are summed over, within their group."""
    if groups := _grouped(call, "nc*,oc*,o,no*->no*", producer=0):
        w = call.inputs[1]
        call.same(w, 0, call.y, 1)
        if call.size(w, 1) == 1:
            _depthwise(call, groups)
            return
        call.role(1, 1, Role.CONSUMER)
        _alike(call, call.axes(call.x)[1], call.axes(w)[1], call.size(w, 1))
        out = call.size(w, 0) // groups
        _alike(call, call.axes(call.y)[1], call.sites.inner(call.node, out), out)


@ties("ConvTranspose", retune=_groups)
def conv_transpose(call: Call) -> None:
    """As Conv, with the axes of the weight in the other order."""
    if groups := _grouped(call, "nc*,co*,o->no*", producer=1):
        w = call.inputs[1]
        call.same(w, 0, call.x, 1)
        if call.size(w, 0) == groups:
            call.pin(w, 1, "every group has so many outputs")
            _depthwise(call, groups)
            return
        call.role(1, 0, Role.CONSUMER)
        inside = call.size(w, 0) // groups
        _alike(call, call.axes(call.x)[1], call.sites.inner(call.node, inside), inside)
        _alike(call, call.axes(call.y)[1], call.axes(w)[1], call.size(w, 1))


def _grouped(call: Call, letters: str, *, producer: int) -> int:
    """How many groups there are, with what all of them have in common said: the batch, the axes along which the kernel
    slides, the bias. 0 for a single one, of which the letters say everything."""
    groups = int(call.attr("group", 1))
    if groups == 1:
        call.letters(letters, SLIDES)
        return 0
    call.same(call.x, 0, call.y, 0)
    for tensor in (call.x, call.inputs[1], call.y):
        for axis in range(2, call.rank(tensor)):
            call.pin(tensor, axis, SLIDES.format(op=call.node.op))
    call.role(1, producer, Role.PRODUCER)
    if call.has(2):
        call.same(call.inputs[2], 0, call.y, 1)
        call.role(2, 0, Role.FOLLOWER)
    return groups


def _depthwise(call: Call, groups: int) -> None:
    """Each input channel makes outputs of its own: a channel goes with them, and with its group."""
    own = call.own(groups)
    call.role(1, 0, Role.FOLLOWER)
    call.sites.tie(call.axes(call.x)[1], own)
    made = call.size(call.y, 1)
    call.sites.tie_at(call.axes(call.y)[1], index(made), own, index(made) // (made // groups))


def _alike(call: Call, site: int, within: int, width: int) -> None:
    """All groups stay equally wide: the same place goes in each."""
    if width == 1:
        call.sites.pin(site, f"{call.node.op} has groups with one channel each")
        return
    if site < 0:
        raise Untold("the number of channels is not known")
    whole = index(call.sites.sizes[site])
    call.sites.tie_at(site, whole, within, whole % width)


@ties("Gemm")
def gemm(call: Call) -> None:
    """A' B' + C."""
    a = "ki" if call.attr("transA", 0) else "ik"
    b = "jk" if call.attr("transB", 0) else "kj"
    call.letters(f"{a},{b}->ij")
    aligned(call, [2])


@ties("MatMul", "com.microsoft.FusedMatMul")
def matmul(call: Call) -> None:
    """The last axis of one factor and the last but one of the other are summed over; the axes before are aligned."""
    a, b = call.inputs[:2]
    ranks = call.rank(a), call.rank(b)
    if call.attr("transBatchA", 0) or call.attr("transBatchB", 0) or min(ranks) == 0:
        raise Untold("it is transposed in a way that has no ties here")
    depth = max(max(ranks) - 2, 0)
    batch = "abcdefgh"[:depth]
    left = "k" if ranks[0] == 1 else batch[depth - (ranks[0] - 2) :] + ("ki" if call.attr("transA", 0) else "ik")
    right = "k" if ranks[1] == 1 else batch[depth - (ranks[1] - 2) :] + ("jk" if call.attr("transB", 0) else "kj")
    made = batch + "i" * (ranks[0] > 1) + "j" * (ranks[1] > 1)
    call.letters(f"{left},{right}->{made}")
    if not (call.weight(0) or call.weight(1)):
        _computed(call, (left, right))


def _computed(call: Call, spelled: Sequence[str]) -> None:
    """A product of two computed factors: its batch axes may be heads; what only one of them has stays, so that heads go
    whole."""
    for tensor, own, other in zip(call.inputs, spelled, reversed(spelled), strict=False):
        for axis, letter in enumerate(own):
            if letter not in other:
                call.pin(tensor, axis, f"{call.node.op} makes it of two computed factors")
            elif axis < len(own) - 2:
                call.sites.mark(call.axes(tensor)[axis], "heads")


@ties("Einsum")
def einsum(call: Call) -> None:
    """The equation says it, for letters without an ellipsis."""
    equation = call.attr("equation")
    text = (equation.decode() if isinstance(equation, bytes) else str(equation)).replace(" ", "")
    left, arrow, right = text.partition("->")
    if "." in text or not arrow or any(len(set(term)) < len(term) for term in left.split(",")):
        raise Untold(f"its equation {text} is none of those with ties")
    call.letters(f"{left}->{right}")
    if left.count(",") == 1 and not (call.weight(0) or call.weight(1)):
        _computed(call, left.split(","))
