"""Objects that a graphsurgeon script put into a graph become graphopt's own, in place: same identity, same links."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from graphopt.ir.dtypes import DType, numpy_dtype
from graphopt.ir.links import Links
from graphopt.ir.types import Constant, Graph, Node, Variable


def adopt(graph: gs.Graph) -> Graph:
    """The graph itself, with every node, tensor and nested graph of graphsurgeon's classes turned into ours.

    A graph of ours in which nothing is foreign is left untouched. O(nodes).
    """
    adopted: Graph = graph
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        if type(current) is not Graph:
            _adopt_graph(current)
        for tensor in (*current.inputs, *current.outputs):
            _adopt_tensor(tensor)
        for node in current.nodes:
            if type(node) is not Node:
                _adopt_node(node)
            for tensor in (*node.inputs, *node.outputs):
                _adopt_tensor(tensor)
            for value in node.attrs.values():
                for item in value if isinstance(value, list) else (value,):
                    if isinstance(item, gs.Graph):
                        waiting.append(item)
                    elif isinstance(item, gs.Tensor):
                        _adopt_tensor(item)
    return adopted


def _adopt_graph(graph: gs.Graph) -> None:
    fields = dict(graph.__dict__)
    opset, domains = fields.pop("opset", None), fields.pop("import_domains", None)
    ours = Graph(opset=opset, import_domains=domains)
    graph.__class__ = Graph
    graph.__dict__ = {**ours.__dict__, **fields}


def _adopt_node(node: gs.Node) -> None:
    fields = dict(node.__dict__)
    node.__class__ = Node
    defaults = Node(fields["op"], domain=fields.get("domain")).__dict__
    node.__dict__.update({**defaults, **fields, "domain": defaults["domain"]})
    _adopt_links(node)


def _adopt_tensor(tensor: gs.Tensor) -> None:
    if type(tensor) in (Variable, Constant):
        return
    fields = dict(tensor.__dict__)
    if isinstance(tensor, gs.Constant):
        tensor.__class__ = Constant
        defaults = Constant(fields["name"], fields["_values"]).__dict__
    else:
        tensor.__class__ = Variable
        defaults = Variable(fields["name"]).__dict__
        shape = fields.get("shape")
        fields |= {"dtype": _dtype(fields.get("dtype")), "shape": None if shape is None else tuple(shape)}
    tensor.__dict__.update({**defaults, **fields})
    _adopt_links(tensor)


def _adopt_links(owner: Any) -> None:
    """Replace graphsurgeon's lists by ours without touching the other ends of the links."""
    for field, other in (("inputs", "outputs"), ("outputs", "inputs")):
        held = owner.__dict__[field]
        if not isinstance(held, Links):
            links = Links(owner, other)
            list.extend(links, held)
            owner.__dict__[field] = links


def _dtype(dtype: Any) -> DType | None:
    if dtype is None:
        return None
    return numpy_dtype(dtype) if isinstance(dtype, int) else np.dtype(dtype)
