"""Operators that move elements, and those that compute with shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from graphopt.ir.types import Array, Constant
from graphopt.ir.values import constant_of_node
from passes.distill.network.call import Call, Given, Operator, ints
from passes.distill.network.operators.elementwise import torch_dtype


def from_numpy(array: Array) -> Tensor:
    """A tensor with the values of an array, and memory of its own."""
    import numpy as np

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
    if array.dtype.name in ("uint32", "uint64"):
        return torch.from_numpy(array.astype(np.int64))
    return torch.from_numpy(np.array(array, order="C"))


def _constant(call: Call) -> Tensor:
    held = constant_of_node(call.node.attrs)
    call.require(held is not None and held.dtype.kind != "O", "its value")
    return from_numpy(held.values) if held is not None else torch.empty(0)


def _constant_of_shape(call: Call, shape: Tensor) -> Tensor:
    held = call.attr("value", None)
    value = from_numpy(held.values) if isinstance(held, Constant) else torch.zeros(1)
    return value.reshape(()).expand(ints(shape)).clone()


def _reshape(call: Call, x: Tensor, shape: Given = None) -> Tensor:
    wanted = ints(shape, call.attr("shape", ()))
    if not call.attr("allowzero", 0):
        wanted = [x.shape[index] if dim == 0 else dim for index, dim in enumerate(wanted)]
    return torch.reshape(x, wanted)


def _flatten(call: Call, x: Tensor) -> Tensor:
    axis = call.attr("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _squeeze(call: Call, x: Tensor, given: Given = None) -> Tensor:
    axes = ints(given, call.attr("axes", ()))
    return x.squeeze([axis % x.ndim for axis in axes] if axes else [i for i, dim in enumerate(x.shape) if dim == 1])


def _unsqueeze(call: Call, x: Tensor, given: Given = None) -> Tensor:
    axes = ints(given, call.attr("axes", ()))
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(call: Call, x: Tensor) -> Tensor:
    return x.permute(list(call.attr("perm", range(x.ndim)[::-1])))


def _concat(call: Call, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, dim=call.attr("axis", 1))


def _split(call: Call, x: Tensor, given: Given = None) -> Sequence[Tensor]:
    axis = call.attr("axis", 0)
    sizes = ints(given, call.attr("split", ()))
    parts: Sequence[Tensor] = torch.split(x, sizes or math.ceil(x.shape[axis] / call.count), dim=axis)
    return parts


def _slice(
    call: Call, x: Tensor, starts: Given = None, ends: Given = None, axes: Given = None, steps: Given = None
) -> Tensor:
    first, last = ints(starts, call.attr("starts", ())), ints(ends, call.attr("ends", ()))
    chosen = ints(axes, call.attr("axes", range(len(first))))
    for start, end, axis, step in zip(first, last, chosen, ints(steps, [1] * len(first)), strict=True):
        if step > 0:
            whole: list[Any] = [slice(None)] * x.ndim
            whole[axis] = slice(*slice(start, end, step).indices(x.shape[axis]))
            x = x[tuple(whole)]
        else:
            taken = range(x.shape[axis])[start : None if end < -x.shape[axis] else end : step]
            x = x.index_select(axis, torch.tensor(list(taken), dtype=torch.int64))
    return x


def _gather(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    axis = call.attr("axis", 0) % x.ndim
    flat = torch.where(indices < 0, indices + x.shape[axis], indices).reshape(-1).long()
    found = x.index_select(axis, flat)
    return torch.reshape(found, [*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _gather_elements(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    axis = call.attr("axis", 0)
    return torch.gather(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices).long())


def _gather_nd(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    shared = call.attr("batch_dims", 0)
    if not shared:
        return x[tuple(indices.long().movedim(-1, 0))]
    flat, wanted = x.flatten(0, shared - 1), indices.long().flatten(0, shared - 1)
    rows = [one[tuple(index.movedim(-1, 0))] for one, index in zip(flat, wanted, strict=True)]
    return torch.stack(rows).reshape(*x.shape[:shared], *rows[0].shape)


def _scatter_nd(call: Call, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    kind = call.attr("reduction", "none")
    call.require(kind in ("none", "add"), f"the reduction {kind}")
    return x.index_put(tuple(indices.long().movedim(-1, 0)), updates, accumulate=kind == "add")


def _expand(_call: Call, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(ints(shape))))


def _shape(call: Call, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[call.attr("start", 0) : call.attr("end", None)], dtype=torch.int64)


def _range(_call: Call, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


_PADDING = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(call: Call, x: Tensor, given: Given = None, value: Given = None, axes: Given = None) -> Tensor:
    pads = ints(given, call.attr("pads", ()))
    chosen = [axis % x.ndim for axis in ints(axes, range(x.ndim))]
    sides = dict(zip(chosen, zip(pads[: len(chosen)], pads[len(chosen) :], strict=True), strict=True))
    mode = call.attr("mode", "constant")
    if mode == "constant":
        flat = [side for axis in reversed(range(x.ndim)) for side in sides.get(axis, (0, 0))]
        return functional.pad(x, flat, value=call.attr("value", 0.0) if value is None else value.item())
    for axis, (before, after) in sides.items():
        if before or after:
            moved = x.movedim(axis, -1)
            rows = functional.pad(moved.reshape(1, -1, moved.shape[-1]), (before, after), mode=_PADDING[mode])
            x = rows.reshape(*moved.shape[:-1], -1).movedim(-1, axis)
    return x


def _depth_to_space(call: Call, x: Tensor) -> Tensor:
    block = call.attr("blocksize", 1)
    n, c, h, w = x.shape
    if call.attr("mode", "DCR") == "DCR":
        parts = x.reshape(n, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // block**2, block, block, h, w).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, c // block**2, h * block, w * block)


def _space_to_depth(call: Call, x: Tensor) -> Tensor:
    block = call.attr("blocksize", 1)
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * block**2, h // block, w // block)


def _triangle(call: Call, x: Tensor, k: Given = None) -> Tensor:
    function = torch.triu if call.attr("upper", 1) else torch.tril
    return function(x, 0 if k is None else int(k.item()))


def _one_hot(call: Call, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    size = int(depth.reshape(()).item())
    hot = functional.one_hot(torch.remainder(indices.long(), size), size).to(values.dtype)
    spread = hot * (values[1] - values[0]) + values[0]
    axis = call.attr("axis", -1)
    return spread if axis == -1 else spread.movedim(-1, axis)


def _eye(call: Call, x: Tensor) -> Tensor:
    kind = torch_dtype(call.attr("dtype", 0)) if call.attr("dtype", 0) else x.dtype
    return torch.diagflat(torch.ones(max(x.shape), dtype=kind), call.attr("k", 0))[: x.shape[0], : x.shape[1]]


def _to_sequence(call: Call, x: Tensor, split: Given = None) -> list[Tensor]:
    axis = call.attr("axis", 0)
    if split is None:
        parts = torch.split(x, 1, dim=axis)
        return list(parts) if call.attr("keepdims", 1) else [part.squeeze(axis) for part in parts]
    return list(torch.split(x, ints(split) if split.ndim else int(split.item()), dim=axis))


OPERATORS: Mapping[str, Operator] = {
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "EyeLike": _eye,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "NonZero": lambda _call, x: torch.nonzero(x).T,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "ScatterND": _scatter_nd,
    "SequenceAt": lambda _call, parts, index: parts[int(index.item())],
    "SequenceConstruct": lambda _call, *parts: [list(parts)],
    "Shape": _shape,
    "Size": lambda _call, x: torch.tensor(x.numel(), dtype=torch.int64),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "SplitToSequence": lambda call, *inputs: [_to_sequence(call, *inputs)],
    "Squeeze": _squeeze,
    "Tile": lambda _call, x, repeats: x.repeat(ints(repeats)),
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
}
