"""Reading a graph: subgraphs, captures, order. Nothing here changes anything; nothing recurses over nodes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from graphopt.ir.types import Graph, Node, Tensor, Variable, subgraphs


def graphs(graph: Graph) -> Iterator[Graph]:
    """The graph and all graphs nested in it, outer ones first, in node order."""
    stack = [graph]
    while stack:
        current = stack.pop()
        yield current
        nested = [inner for node in current.nodes if node.attrs for inner in subgraphs(node)]
        stack.extend(reversed(nested))


def nodes(graph: Graph) -> Iterator[Node]:
    """All nodes of the graph and of the graphs nested in it."""
    for inner in graphs(graph):
        yield from inner.nodes


def tensors(graph: Graph) -> Iterator[Tensor]:
    """Every tensor of the graph and of nested graphs, once: inputs, declared constants, node inputs and outputs."""
    seen: set[Tensor] = set()
    for inner in graphs(graph):
        groups: list[Iterable[Tensor]] = [inner.inputs, inner.initializers, inner.outputs]
        for node in inner.nodes:
            groups += (node.inputs, node.outputs)
        for group in groups:
            for tensor in group:
                if tensor.name and tensor not in seen:
                    seen.add(tensor)
                    yield tensor


def captures(node: Node) -> Iterator[Tensor]:
    """The tensors of outer graphs that the graphs in the attributes of `node` read or return, each once."""
    inside: set[Tensor] = set()
    read: dict[Tensor, None] = {}
    for direct in subgraphs(node):
        for inner in graphs(direct):
            inside.update(inner.inputs, inner.initializers)
            read.update(dict.fromkeys(inner.outputs))
            for nested in inner.nodes:
                inside.update(nested.outputs)
                read.update(dict.fromkeys(nested.inputs))
    return (tensor for tensor in read if tensor.name and tensor not in inside)


def uses(node: Node) -> Iterable[Tensor]:
    """The tensors that `node` reads: its inputs, and what the graphs in its attributes capture."""
    nested = node.attrs and next(subgraphs(node), None) is not None
    return (*node.inputs, *captures(node)) if nested else node.inputs


def sort(graph: Graph) -> bool:
    """Put the nodes of the graph (not of nested ones) in topological order, keeping the order where it is free.

    Returns whether anything moved. Raises ValueError naming a node on a cycle. O((nodes + edges) log nodes).
    """
    position: dict[Node | None, int] = {node: index for index, node in enumerate(graph.nodes)}
    waiting, late = [0] * len(position), False
    readers: list[list[int]] = [[] for _ in position]
    for index, node in enumerate(graph.nodes):
        for tensor in set(uses(node)):
            source = position.get(tensor.producer) if isinstance(tensor, Variable) else None
            if source is not None and source != index:
                waiting[index] += 1
                readers[source].append(index)
                late = late or source > index
            elif source == index and tensor in node.inputs:
                message = f"node {node!r} reads its own output"
                raise ValueError(message)
    if not late:
        return False
    ready = [index for index, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    order: list[Node] = []
    while ready:
        index = heapq.heappop(ready)
        order.append(graph.nodes[index])
        for reader in readers[index]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(position):
        message = f"node {graph.nodes[next(i for i, count in enumerate(waiting) if count)]!r} lies on a cycle"
        raise ValueError(message)
    graph.nodes[:] = order
    return True
