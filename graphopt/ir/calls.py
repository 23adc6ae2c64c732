"""Which model-local function calls which: nothing may call itself, and inlining must not explode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from onnx import FunctionProto, NodeProto

from graphopt.errors import ModelError
from graphopt.ir.words import check_text, quoted

Key = tuple[str, str, str]
"""Domain, name, overload."""


def key(proto: FunctionProto) -> Key:
    """What a node must say to call the function."""
    return _domain(proto.domain), proto.name, proto.overload


def called(node: NodeProto) -> Key:
    """The function that a node calls, if there is one."""
    return _domain(node.domain), node.op_type, node.overload


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def nodes(protos: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and all nodes of the graphs nested in them."""
    waiting = list(protos)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                waiting.extend(graph.node)


def check(functions: Sequence[FunctionProto]) -> list[Key]:
    """The functions, callees first. Raises ModelError if two are the same, or if one calls itself."""
    keys = {key(function) for function in functions}
    for parts in keys:
        check_text(*parts)
    if len(keys) < len(functions):
        twice = next(k for k, count in Counter(map(key, functions)).items() if count > 1)
        raise ModelError(f"the function {_shown(twice)} is defined twice")
    callees = {key(function): sorted({called(node) for node in nodes(function.node)} & keys) for function in functions}
    order: list[Key] = []
    state: dict[Key, bool] = {}
    for start in callees:
        stack = [start]
        while stack:
            current = stack[-1]
            if current in state:
                stack.pop()
                if not state[current]:
                    state[current] = True
                    order.append(current)
                continue
            state[current] = False
            for callee in callees[current]:
                if state.get(callee) is False:
                    raise ModelError(f"the function {_shown(callee)} calls itself")
                if callee not in state:
                    stack.append(callee)
    return order


def _shown(k: Key) -> str:
    return quoted("::".join(part for part in k if part))
