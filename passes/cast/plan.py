"""Which calls compute in 16 bits, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Node, Tensor, subgraphs
from graphopt.ir.values import constant
from graphopt.target import CPU, CUDA, ORT, Target
from passes.cast.types import FLOAT, MICROSOFT, MOVES, Narrow, at, operands

FEW = 16
"""A constant with so few elements must not lose any of them; others must keep their signal over noise."""
CHUNK = 1 << 20
"""Elements that are rounded at a time."""
CLOSE = 2.0**-8
"""How much an element of such a constant may change, relative to it."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What is wanted. blocked: operators that stay float; exclude: names of nodes or tensors that do."""

    narrow: Narrow
    target: Target
    blocked: Collection[str]
    exclude: Collection[str] = ()


def plan(model: Model, shapes: Shapes, asked: Asked, unfit: Callable[[Tensor], str]) -> dict[Node, str]:
    """Every call that computes in float, in order, with the reason why it stays float: "" for those that do not.

    unfit: why the values of a tensor have no place in 16 bits, "" if nothing speaks against it.
    """
    calls = [node for node in walk.nodes(model.graph) if _computes(node, shapes)]
    reasons = {node: _reason(node, model, asked, unfit) for node in calls}
    moves = [node for node in calls if node.op in MOVES and not node.domain and not reasons[node]]
    reasons.update(dict.fromkeys(moves, ISLAND))
    for node in moves:
        if any(not reasons.get(t.producer, ISLAND) for t in node.inputs if t.producer is not None):
            reasons[node] = ""
    for node in reversed(moves):
        if reasons[node] and _all_narrow(node, reasons):
            reasons[node] = ""
    return reasons


ISLAND = "it moves what is computed, or read, in float: in 16 bits that would lose something for nothing"


def _all_narrow(node: Node, reasons: Mapping[Node, str]) -> bool:
    """Whether all that read a call are narrow: then what it moves can be so before."""
    readers = [reader for tensor in node.outputs for reader in tensor.outputs]
    return bool(readers) and not any(reasons.get(reader, ISLAND) for reader in readers)


def _computes(node: Node, shapes: Shapes) -> bool:
    """Whether a call reads or writes floats, and does not consist of other calls."""
    if node.attrs and next(subgraphs(node), None) is not None:
        return False
    if (node.op, node.domain) == ("Constant", ""):
        return False
    return any(tensor.name and shapes.dtype(tensor) == FLOAT for tensor in (*node.inputs, *node.outputs))


def _reason(node: Node, model: Model, asked: Asked, unfit: Callable[[Tensor], str]) -> str:
    narrow = asked.narrow
    if {node.name, *(t.name for t in node.outputs)} & {*asked.exclude}:
        return "it was left out (exclude)"
    if node.op in asked.blocked:
        return f"{node.op} is on the list of operators that stay float (block, allow)"
    version = model.opsets.get(node.domain, 1)
    follows = operands(node.op, node.domain, version, narrow.dtype) if node.domain in ("", MICROSOFT) else None
    if follows is None:
        return f"{node.op} does not exist in {narrow.text} at version {version} of {node.domain or 'ai.onnx'}"
    lacking = lacks(asked, node.op, node.domain)
    if lacking:
        return lacking
    concerned = [t for i, t in enumerate(node.inputs) if t.name and at(follows[0], i)]
    concerned += [t for i, t in enumerate(node.outputs) if t.name and at(follows[1], i)]
    return next((reason for tensor in concerned if (reason := unfit(tensor))), "")


def lacks(asked: Asked, op: str, domain: str) -> str:
    """Why the target, or one of the providers that it stands for, does not run an operator so; "" if it does."""
    where = (CPU, CUDA) if asked.target is ORT else (asked.target,)
    return next((reason for one in where if (reason := one.lacks(op, domain, asked.narrow.dtype))), "")


def constant_unfit(tensor: Tensor, narrow: Narrow) -> str:
    """Why the values of a constant have no place in the type; "" for other tensors, and constants of other types."""
    held = constant(tensor)
    if held is None or held.dtype != FLOAT or not held.size:
        return ""
    values = held.values
    largest = float(np.maximum(values.max(), -values.min()))
    if not largest <= narrow.largest:
        return f"its constant {_named(held, tensor)} reaches {largest:.3g}, beyond {narrow.text}"
    lost = _noise(values, narrow) > 10 ** (-narrow.floor / 10) or (held.size <= FEW and _any_moved(values, narrow))
    return f"{narrow.text} cannot hold its constant {_named(held, tensor)}" if lost else ""


def _noise(values: Array, narrow: Narrow) -> float:
    """The power of what rounding changes, in parts of that of the values."""
    noise = signal = 0.0
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        away = (part.astype(narrow.dtype).astype(np.float32) - part).astype(np.float64)
        noise, signal = noise + float(away @ away), signal + float(np.square(part, dtype=np.float64).sum())
    return noise / signal if signal else 0.0


def _any_moved(values: Array, narrow: Narrow) -> bool:
    away = np.abs(values.astype(narrow.dtype).astype(np.float32) - values)
    return bool((away > CLOSE * np.abs(values)).any())


def _named(held: Constant, tensor: Tensor) -> str:
    return f"{float(held.values.reshape(-1)[0]):.3g}" if held.size == 1 else tensor.name


def floats(nodes: Iterable[Node], shapes: Shapes) -> list[Tensor]:
    """The float tensors that calls read and compute, each once."""
    every = dict.fromkeys(t for node in nodes for t in (*node.inputs, *node.outputs) if t.name)
    return [tensor for tensor in every if shapes.dtype(tensor) == FLOAT and constant(tensor) is None]
