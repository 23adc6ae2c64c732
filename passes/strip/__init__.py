"""strip: what only people read goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from graphopt.ir import walk
from graphopt.ir.types import Constant, Node, Tensor, Variable
from graphopt.pipeline.passes import Option, Options, Pass, names

if TYPE_CHECKING:
    from graphopt.ir.model import Model
    from graphopt.pipeline.context import Context

KINDS = ("docs", "metadata", "names", "shapes")
STEM = "t"
SHORT = re.compile(rf"{STEM}(_\d+)?")


def _kinds(text: str) -> tuple[str, ...]:
    chosen = names(text)
    for one in chosen:
        if one not in KINDS:
            raise ValueError(f"expected some of {', '.join(KINDS)}, joined with +, found {one}")
    return chosen


def _run(context: Context, options: Options) -> None:
    gone = set(KINDS).difference(options.get("keep", ()))
    editor, graph = context.editor, context.model.graph
    tensors = list(_inside(context.model))
    described: list[Node | Constant] = [*walk.nodes(graph), *(one for one in tensors if isinstance(one, Constant))]
    for one in described:
        if "docs" in gone:
            one.doc_string = ""
        if "metadata" in gone:
            one.metadata.clear()
        if "names" in gone and isinstance(one, Node):
            one.name = ""
    for tensor in tensors:
        if "shapes" in gone and isinstance(tensor, Variable):
            editor.undeclare(tensor)
        if "names" in gone and not SHORT.fullmatch(tensor.name):
            editor.rename(tensor, STEM)


def _inside(model: Model) -> Iterator[Tensor]:
    """The tensors that no graph takes or gives under their names, and no annotation speaks of."""
    outside: set[Tensor] = set()
    spoken: set[str] = set()
    for graph in walk.graphs(model.graph):
        outside.update(graph.inputs, graph.outputs, graph.defaults)
        for annotation in graph.quantization_annotation:
            spoken.update((annotation.tensor_name, *(one.value for one in annotation.quant_parameter_tensor_names)))
    return (tensor for tensor in walk.tensors(model.graph) if tensor not in outside and tensor.name not in spoken)


STRIP = Pass(
    "strip",
    _run,
    """Drop what only people read: doc strings, metadata, names and shapes of what is inside.

Inputs, outputs and what the model says of itself stay. Small models become a good deal smaller. What came from where,
and which layer is which, is then no longer known: let it be the last pass.""",
    options=(Option("keep", _kinds, f"what stays, of {', '.join(KINDS)}, joined with +"),),
)
