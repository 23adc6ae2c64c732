"""A failing model made smaller: outputs, nodes and optional parts are left out as long as it fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx

from graphopt.numerics.failure import RunFailure
from graphopt.numerics.session import Session
from tests.laws.random_graphs import Case

TRIES = 150


def shrunk(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest case found that still fails, in so many tries."""
    left = TRIES
    progress = True
    while progress and left > 0:
        progress = False
        for model in smaller(case.model):
            left -= 1
            small = fitted(model, case)
            if small is not None and fails(small):
                case, progress = small, True
                break
            if left <= 0:
                break
    return case


def smaller(model: onnx.ModelProto) -> Iterator[onnx.ModelProto]:
    """Models with less in them: without an output, or with what a node computes as an input of the graph."""
    for index in range(len(model.graph.output)):
        if len(model.graph.output) > 1:
            copy = cloned(model)
            del copy.graph.output[index]
            yield swept(copy)
    for index in reversed(range(len(model.graph.node))):
        node = model.graph.node[index]
        if len(node.output) == 1 and len(node.input) and node.input[0]:
            copy = cloned(model)
            bypass(copy, index)
            yield swept(copy)
    if model.graph.value_info:
        copy = cloned(model)
        del copy.graph.value_info[:]
        yield copy


def cloned(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def bypass(model: onnx.ModelProto, index: int) -> None:
    """Take a node away: its first operand stands for its result, under the same name where that is an output."""
    node = model.graph.node[index]
    if any(value.name == node.output[0] for value in model.graph.output):
        kept = onnx.helper.make_node("Identity", [node.input[0]], [node.output[0]])
        if node.op_type == "Identity":
            return
        model.graph.node[index].CopyFrom(kept)
        return
    old, new = node.output[0], node.input[0]
    del model.graph.node[index]
    for other in model.graph.node:
        for at, name in enumerate(other.input):
            if name == old:
                other.input[at] = new


def swept(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without nodes, constants and inputs that nothing needs."""
    graph = model.graph
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= {*node.input, *_read_inside(node)}
    held = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del graph.node[:]
    graph.node.extend(held)
    for part in (graph.initializer, graph.input, graph.value_info):
        for at in reversed(range(len(part))):
            if part[at].name not in needed:
                del part[at]
    return model


def _read_inside(node: onnx.NodeProto) -> set[str]:
    graphs = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
    inner = [one for graph in graphs for one in graph.node]
    names = {output.name for graph in graphs for output in graph.output}
    return names | {name for one in inner for name in (*one.input, *_read_inside(one))}


def fitted(model: onnx.ModelProto, case: Case) -> Case | None:
    """The model with the feeds that it still takes; None where the runtime does not run it, or it is no smaller."""
    names = {value.name for value in model.graph.input}
    first, second = ({name: array for name, array in feeds.items() if name in names} for feeds in case.feeds)
    if not model.graph.node or model == case.model:
        return None
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        with Session(model.SerializeToString()) as session:
            for feeds in (first, second):
                made = session.run(feeds, [output.name for output in model.graph.output])
    except RunFailure:
        return None
    for output, array in zip(model.graph.output, made, strict=True):
        output.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in np.shape(array))
    return Case(model, (first, second))
