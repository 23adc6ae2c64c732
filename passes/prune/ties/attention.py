"""Fused attention: heads lie side by side in the last axis, or on an axis of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphopt.ir.types import Tensor
from passes.prune.sites import ONE
from passes.prune.ties.call import Call, Change, Kept, index, others, ties
from passes.prune.ties.role import Role, Untold

PACKED, APART = 3, 4
"""Ranks of tensors in which heads lie side by side, and on an axis of their own."""
WITHIN = "it lies within a head, and {op} takes heads whole"


class _Heads:
    """The heads of one call. count: how many of its own it has, which for grouped queries are those of the keys."""

    def __init__(self, call: Call, count: int) -> None:
        self.call, self.count = call, count
        self.own = call.own(count)
        call.sites.mark(self.own, "heads")

    def beside(self, tensor: Tensor, axis: int, parts: Sequence[int] = ()) -> None:
        """The heads lie side by side along an axis; in several parts of these sizes after each other."""
        call, start = self.call, 0
        for size in parts or (call.size(tensor, axis),):
            if size % self.count:
                raise Untold(f"{size} is no multiple of {self.count} heads")
            call.sites.tie_at(
                call.axes(tensor)[axis], start + index(size), self.own, index(size) // (size // self.count)
            )
            start += size

    def apart(self, tensor: Tensor, axis: int) -> None:
        """The heads have an axis of their own, or the tensor is the same for all; its other axes stay."""
        if self.call.axes(tensor)[axis] != ONE:
            self.beside(tensor, axis)
        for other in range(self.call.rank(tensor)):
            if other != axis:
                self.call.pin(tensor, other, WITHIN.format(op=self.call.node.op))

    def lie(self, tensor: Tensor) -> None:
        """As `beside` or `apart`, as the rank tells."""
        rank = self.call.rank(tensor)
        if rank == PACKED:
            self.beside(tensor, 2)
        elif rank in (APART, APART + 1):
            self.apart(tensor, 1 if rank == APART else 2)
        else:
            raise Untold(f"{tensor.name} has {rank} axes")
        if rank == PACKED:
            for axis in (0, 1):
                self.call.pin(tensor, axis, f"{self.call.node.op} works along it")


def _given(call: Call, positions: Sequence[int], outputs: Sequence[int] = ()) -> list[Tensor]:
    found = [call.inputs[position] for position in positions if call.has(position)]
    return found + [call.outputs[p] for p in outputs if p < len(call.outputs) and call.outputs[p].name]


def _number(*names: str) -> Callable[[Call, Kept], Change]:
    """A `retune` for attributes that count heads, in the proportion that they have."""

    def retune(call: Call, kept: Kept) -> Change:
        left = kept.own(call.node)
        site = call.ties.inner.get(call.node)
        if left is None or site is None:
            return Change()
        whole = call.sites.sizes[site]
        return Change({name: held * len(left) // whole for name in names if (held := int(call.attr(name, 0)))})

    return retune


@ties("com.microsoft.MultiHeadAttention", retune=_number("num_heads"))
def multi_head_attention(call: Call) -> None:
    """Queries, keys and values, a bias of all three, what is added to the scores, and the past."""
    heads = _Heads(call, int(call.attr("num_heads")))
    for tensor in _given(call, (0, 1, 2, 6, 7), (0, 1, 2)):
        heads.lie(tensor)
    for tensor in _given(call, (5,)):
        heads.apart(tensor, 1)
    if call.has(3):
        apart = [tensor for tensor in _given(call, (0, 1, 2)) if call.rank(tensor) == PACKED]
        widths = [call.size(tensor, -1) for tensor in apart]
        heads.beside(call.inputs[3], 0, widths if len(widths) == len("qkv") else [call.size(call.y, 2)] * 3)
        call.role(3, 0, Role.FOLLOWER)
    call.pin_all(f"{call.node.op} hides by it", _given(call, (4, 8, 9)))


def _packed(call: Call, kept: Kept) -> Change:
    left = kept.own(call.node)
    if left is None:
        return Change()
    count = int(call.attr("num_heads"))
    sizes = call.attr("qkv_hidden_sizes")
    attrs = {} if sizes is None else {"qkv_hidden_sizes": [size // count * len(left) for size in sizes]}
    return Change({"num_heads": len(left), **attrs})


@ties("com.microsoft.Attention", retune=_packed)
def packed_attention(call: Call) -> None:
    """Its weight makes queries, keys and values of one input."""
    heads = _Heads(call, int(call.attr("num_heads")))
    w = call.inputs[1]
    sizes = call.attr("qkv_hidden_sizes") or [call.size(w, 1) // 3] * 3
    call.same(call.x, 2, w, 0)
    call.role(1, 0, Role.CONSUMER)
    call.role(1, 1, Role.PRODUCER)
    heads.beside(w, 1, sizes)
    if call.has(2):
        heads.beside(call.inputs[2], 0, sizes)
        call.role(2, 0, Role.FOLLOWER)
    heads.lie(call.y)
    for axis in (0, 1):
        call.pin(call.x, axis, f"{call.node.op} works along it")
    for tensor in _given(call, (4,), (1,)):
        heads.apart(tensor, 2)
    for tensor in _given(call, (5,)):
        heads.apart(tensor, 1)
    call.pin_all(f"{call.node.op} hides by it", _given(call, (3, 6)))


@ties("com.microsoft.GroupQueryAttention", retune=_number("num_heads", "kv_num_heads"))
def group_query_attention(call: Call) -> None:
    """Some queries share a head of keys and values: they go with it."""
    queries, keys = int(call.attr("num_heads")), int(call.attr("kv_num_heads"))
    heads = _Heads(call, keys)
    if call.has(1):
        heads.lie(call.x)
    else:
        width = call.size(call.x, 2) // (queries + 2 * keys)
        heads.beside(call.x, 2, [queries * width, keys * width, keys * width])
        for axis in (0, 1):
            call.pin(call.x, axis, f"{call.node.op} works along it")
    for tensor in _given(call, (1, 2, 3, 4), (0, 1, 2)):
        heads.lie(tensor)
    for tensor in _given(call, (10,)):
        heads.apart(tensor, 1)
    for tensor in _given(call, (11,)):
        heads.beside(tensor, 0)
    call.pin_all(f"{call.node.op} looks it up", _given(call, (5, 6, 7, 8, 9)))


@ties("Attention", retune=_number("q_num_heads", "kv_num_heads"))
def attention(call: Call) -> None:
    """As GroupQueryAttention, with or without an axis for the heads."""
    deep = call.rank(call.x) == APART
    keys = call.size(call.inputs[1], 1) if deep else int(call.attr("kv_num_heads"))
    heads = _Heads(call, keys)
    for tensor in _given(call, (0, 1, 2, 4, 5), (0, 1, 2, 3)):
        heads.lie(tensor)
    for tensor in _given(call, (3,)):
        rank = call.rank(tensor)
        if rank < PACKED:
            call.pin_all("Attention hides by it", [tensor])
        else:
            heads.apart(tensor, rank - PACKED)


@ties("RotaryEmbedding", "com.microsoft.RotaryEmbedding", retune=_number("num_heads"))
def rotary_embedding(call: Call) -> None:
    """Each head is turned by itself."""
    cosines = call.inputs[2 if call.node.domain else 1]
    rest = [tensor for tensor in call.inputs[1:] if tensor.name]
    call.pin_all(f"{call.node.op} looks it up", rest)
    if call.rank(call.x) == APART:
        others(call, call.x, call.y, set())
        call.pin(call.x, 3, WITHIN.format(op=call.node.op))
        return
    width = call.size(call.x, 2)
    heads = _Heads(call, int(call.attr("num_heads", 0)) or width // (2 * call.size(cosines, -1)))
    heads.lie(call.x)
    heads.lie(call.y)
