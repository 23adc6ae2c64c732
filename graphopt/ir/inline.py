"""Model-local functions replaced by their bodies."""

from __future__ import annotations

from collections import Counter

import onnx
from onnx import inliner

from graphopt.errors import ModelError, UnsafeModelError
from graphopt.ir import calls
from graphopt.ir.emit import emit
from graphopt.ir.external import Folder
from graphopt.ir.model import Model
from graphopt.ir.reader import read
from graphopt.ir.storage import Memory
from graphopt.ir.tensors import Tensors
from graphopt.ir.types import Array, Stored
from graphopt.ir.weights import Marked
from graphopt.ir.words import counted

_MOST_NODES = 5_000_000
_DEEPEST = 100


def inline_functions(model: Model) -> Model:
    """A model without functions: every call replaced by the body of the function, by onnx's own inliner.

    Weights stay where they lie. A function that uses other operator set versions than the model cannot be inlined
    and stays. Raises UnsafeModelError if the result would have millions of nodes; the model itself is unchanged.
    """
    if not model.functions:
        return model
    marked = Marked()
    proto = emit(model, marked)
    check_growth(proto)
    try:
        inlined = inliner.inline_local_functions(proto)
    except RuntimeError as error:
        raise ModelError(f"its functions cannot be inlined: {error}") from error

    def find(raw: bytes) -> Array | Stored | None:
        chunk = marked.markers.find(raw)
        return None if chunk is None else chunk.held

    result = read(inlined, Tensors(find, Memory(b""), Folder(None)))
    result.path = model.path
    return result


def check_growth(proto: onnx.ModelProto, most: int = _MOST_NODES) -> None:
    """Count the nodes of the inlined model, which may be exponentially many, and how deep calls nest.

    Raises UnsafeModelError if there are more than `most`, or if calls nest deeper than an inliner bears; ModelError if
    a function calls itself.
    """
    bodies = {calls.key(function): function for function in proto.functions}
    sizes: dict[calls.Key, int] = {}
    depths: dict[calls.Key, int] = {}
    for key in calls.check(proto.functions):
        found = Counter(map(calls.called, calls.nodes(bodies[key].node)))
        sizes[key] = sum(count * sizes.get(callee, 1) for callee, count in found.items())
        depths[key] = 1 + max((depths.get(callee, 0) for callee in found), default=0)
        if depths[key] > _DEEPEST:
            raise UnsafeModelError(f"its functions call each other more than {_DEEPEST} levels deep")
    found = Counter(map(calls.called, calls.nodes(proto.graph.node)))
    size = sum(count * sizes.get(callee, 1) for callee, count in found.items())
    if size > most:
        raise UnsafeModelError(f"with its functions inlined, the model would have {counted(size, 'node')}")
