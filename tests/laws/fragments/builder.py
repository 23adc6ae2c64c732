"""A graph in the making, whose nodes are run by ONNX Runtime as they are added, at two sizes of the free dimensions.

A fragment that cannot be run, or leaves the range of ordinary numbers, is taken back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphopt.numerics.failure import RunFailure
from graphopt.numerics.session import Session

Array = np.ndarray[Any, Any]

LARGEST = 1e4
MOST_ELEMENTS = 4000
OTHER = -1
"""A free dimension besides the usual one, which is one longer."""
ATTRIBUTES_TO_INPUTS = 13
"""The first opset in which Squeeze, Split and others take their axes and sizes as inputs."""


class Impossible(Exception):
    """The fragment cannot be added to this graph."""


@dataclass(eq=False)
class Value:
    """A tensor of the graph: what it is at both sizes. exact: no rounding error can have reached it."""

    name: str
    arrays: tuple[Array, Array]
    exact: bool = True
    constant: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.arrays[0].dtype

    @property
    def rank(self) -> int:
        return self.arrays[0].ndim

    @property
    def shape(self) -> tuple[int, ...]:
        return self.arrays[0].shape

    @property
    def sizes(self) -> tuple[int | None, ...]:
        """The dimensions; None for those that differ between the two sizes."""
        return tuple(a if a == b else None for a, b in zip(self.arrays[0].shape, self.arrays[1].shape, strict=True))

    @property
    def floating(self) -> bool:
        return self.dtype.kind == "f"


@dataclass
class Builder:
    """A graph in the making; a child's values begin with those of its parent, which it captures."""

    rng: random.Random
    opset: int
    dtype: type
    free: tuple[int, int]
    parent: Builder | None = None
    values: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    overridable: list[Value] = field(default_factory=list)
    wanted: list[Value] = field(default_factory=list)
    numbers: list[int] = field(default_factory=lambda: [0])

    # ---- names and choices ----

    def name(self, stem: str = "v") -> str:
        self.numbers[0] += 1
        style = self.rng.random()
        number = self.numbers[0]
        if style < 0.9:
            return f"{stem}{number}"
        return self.rng.choice([f"{stem} {number}", f"/{stem}/ü:{number}", f"Relu_{number}", f"?{number}", f"{number}"])

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, test: Callable[[Value], bool] = lambda _: True, recent: float = 0.6) -> Value:
        """A value that passes the test: often one of the last."""
        found = [v for v in self.values if test(v)]
        if not found:
            raise Impossible
        return found[-1 - self.rng.randrange(min(2, len(found)))] if self.chance(recent) else self.rng.choice(found)

    def float(self, least: int = 0, most: int = 9) -> Value:
        return self.pick(lambda v: v.floating and least <= v.rank <= most and not v.constant)

    # ---- leaves ----

    def feed(self, shape: Sequence[int | None], dtype: Any) -> Value:
        """A new input of the graph; None is a free dimension, OTHER another one."""
        root = self
        while root.parent is not None:
            root = root.parent
        bound = [{None: free, OTHER: free + 1} for free in self.free]
        arrays = tuple(self.draw([free.get(d, d) for d in shape], dtype) for free in bound)
        value = Value(self.name("in"), (arrays[0], arrays[1]))
        root.inputs.append(value)
        self.values.append(value)
        return value

    def draw(self, shape: Sequence[int], dtype: Any) -> Array:
        rng = np.random.default_rng(self.rng.randrange(1 << 30))
        dtype = np.dtype(dtype)
        if dtype == np.bool_:
            return rng.integers(0, 2, shape).astype(bool)
        if dtype.kind in "iu":
            return rng.integers(0, 4, shape).astype(dtype)
        return np.asarray(rng.standard_normal(shape)).astype(dtype)

    def const(self, array: Any, dtype: Any = None, *, plain: bool = False) -> Value:
        """A constant: an initializer, a Constant node, a copy of another, an overridable one, or behind an Identity."""
        array = np.asarray(array, dtype=dtype if dtype is not None else self.dtype)
        value = Value(self.name("c"), (array, array), constant=True)
        tensor = numpy_helper.from_array(array, value.name)
        style = self.rng.random()
        if style < 0.15:
            self.nodes.append(helper.make_node("Constant", [], [value.name], name=self.name("n"), value=tensor))
        else:
            self.initializers.append(tensor)
            if style < 0.2 and not plain and self.parent is None:
                self.overridable.append(value)
        if style > 0.95 and not plain:
            return self.emit("Identity", [value], exact=True)
        if self.chance(0.2):
            self.values.append(value)
        return value

    def number(self, value: float, like: Value, *, off: float = 0.0) -> Value:
        """A scalar constant: mostly of rank 0; or a vector of equal ones. It is changed with the probability `off`."""
        if self.chance(off):
            value = self.rng.choice([value * 1.01, value + 1, -value, 0.0, value * 2])
        style = self.rng.random()
        shape: tuple[int, ...] = ()
        if style < 0.25:
            shape = (1,)
        elif style < 0.3:
            shape = (1,) * (like.rank + self.rng.randrange(2))
        elif style < 0.35 and like.rank and like.sizes[-1]:
            shape = (like.sizes[-1],)
        return self.const(np.full(shape, value), like.dtype)

    def operand(self, like: Value) -> Value:
        """A constant that broadcasts with a value: some of its axes, and now and then one more than it has."""
        rank = self.rng.choice([0, 1, like.rank, like.rank, like.rank + (1 if self.chance(0.1) else 0)])
        sizes = (1,) * rank if rank > like.rank else like.sizes[like.rank - rank :]
        shape = [d if d is not None and self.chance(0.6) else 1 for d in sizes]
        array = self.draw(shape, like.dtype)
        if self.chance(0.2):
            array = np.full(shape, self.rng.choice([0, 1, 2, 1, 0]), like.dtype)
        return self.const(array, like.dtype)

    # ---- nodes ----

    def emit(
        self, op: str, inputs: Sequence[Value | None], *, exact: bool = False, domain: str = "", **attrs: Any
    ) -> Value:
        return self.emits(op, inputs, 1, exact=exact, domain=domain, **attrs)[0]

    def emits(
        self,
        op: str,
        inputs: Sequence[Value | None],
        count: int,
        *,
        exact: bool = False,
        domain: str = "",
        **attrs: Any,
    ) -> list[Value]:
        """Add a node and run it. exact: it moves or compares values, so it rounds nothing and amplifies nothing."""
        names = [self.name() for _ in range(count)]
        label = self.rng.choice([self.name("n"), self.name("n"), self.name("n"), "", names[0]])
        node = helper.make_node(op, [v.name if v else "" for v in inputs], names, name=label, domain=domain, **attrs)
        used = {v.name: v for v in inputs if v is not None}
        if not exact and any(0 in array.shape for v in used.values() for array in v.arrays):
            raise Impossible  # ONNX Runtime crashes on some
        outer = captured(node)
        used |= {v.name: v for v in self.values if v.name in outer}
        if attrs.get("allowzero") and any({0, -1} <= set(a.tolist()) for v in inputs[1:] if v for a in v.arrays):
            raise Impossible  # the specification forbids it; ONNX Runtime finds it only in constants
        arrays = self.run(node, list(used.values()))
        outputs = [
            Value(
                name,
                pair,
                exact=exact and all(v.exact for v in used.values()),
                constant=all(v.constant for v in used.values()),
            )
            for name, pair in zip(names, arrays, strict=True)
        ]
        if not exact and any(0 in array.shape for v in outputs for array in v.arrays):
            raise Impossible
        self.nodes.append(node)
        self.values += outputs
        return outputs

    def run(self, node: onnx.NodeProto, used: Sequence[Value]) -> list[tuple[Array, Array]]:
        def untold(v: Value) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(v.name, helper.np_dtype_to_tensor_dtype(v.dtype), None)

        fixed = [v for v in used if v.constant]
        fed = [v for v in used if not v.constant]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
        graph = helper.make_graph(
            [node],
            "one",
            [untold(v) for v in fed],
            outputs,
            [numpy_helper.from_array(v.arrays[0], v.name) for v in fixed],
        )
        model = helper.make_model(graph, opset_imports=self.imports(), ir_version=8)
        try:
            with Session(model.SerializeToString()) as session:
                pair = [session.run({v.name: v.arrays[i] for v in fed}, list(node.output)) for i in range(2)]
        except RunFailure as failure:
            raise Impossible from failure
        arrays = list(zip(*pair, strict=True))
        if any(np.ndim(one) != np.ndim(other) for one, other in arrays):
            raise Impossible
        for array in (a for two in arrays for a in two):
            if not isinstance(array, np.ndarray) or array.size > MOST_ELEMENTS:
                raise Impossible
            if array.dtype.kind == "f" and not (np.abs(array.astype(np.float64)) < LARGEST).all():
                raise Impossible
            if array.dtype.kind == "f" and array.size and 0 < np.abs(array.astype(np.float64)).max() < 1e-3:
                raise Impossible
        return arrays

    def imports(self) -> list[onnx.OperatorSetIdProto]:
        return [helper.make_opsetid("", self.opset)]

    def axes(self, op: str, x: Value, axes: Sequence[int], since: int = ATTRIBUTES_TO_INPUTS, **attrs: Any) -> Value:
        """A node whose axes are an attribute or, later, an input."""
        exact = op in ("Squeeze", "Unsqueeze", "ReduceMax", "ReduceMin")
        if self.opset < since:
            return self.emit(op, [x], axes=list(axes), exact=exact, **attrs)
        return self.emit(op, [x, self.const(list(axes), np.int64, plain=True)], exact=exact, **attrs)

    def reduce(self, op: str, x: Value, axes: Sequence[int], keep: int = 1) -> Value:
        return self.axes(op, x, axes, 13 if op == "ReduceSum" else 18, keepdims=keep)

    # ---- taking back ----

    def attempt(self, fragment: Callable[[Builder], object]) -> bool:
        """Add a fragment, or leave everything as it was."""
        marks = [len(part) for part in self.parts()]
        try:
            fragment(self)
        except Impossible:
            for part, mark in zip(self.parts(), marks, strict=True):
                del part[mark:]
            return False
        return True

    def parts(self) -> list[list[Any]]:
        return [self.values, self.nodes, self.initializers, self.inputs, self.overridable, self.wanted]

    def child(self) -> Builder:
        return Builder(self.rng, self.opset, self.dtype, self.free, self, list(self.values), numbers=self.numbers)

    def body(self, outputs: Sequence[Value], inputs: Sequence[Value] = ()) -> onnx.GraphProto:
        """The graph of a child."""
        return helper.make_graph(
            self.nodes, self.name("g"), [info(v) for v in inputs], [info(v) for v in outputs], self.initializers
        )


def captured(node: onnx.NodeProto) -> set[str]:
    """Names that the subgraphs of a node use and do not define."""
    found: set[str] = set()
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            graph = attribute.g
            own = {i.name for i in graph.input} | {t.name for t in graph.initializer}
            own |= {name for one in graph.node for name in one.output}
            used = {name for one in graph.node for name in one.input} | {o.name for o in graph.output}
            for one in graph.node:
                used |= captured(one)
            found |= used - own
    return found


def info(value: Value, names: dict[int, str] | None = None) -> onnx.ValueInfoProto:
    """The type of a value: with the names of free dimensions, or with nothing but its rank."""
    dims: list[Any] = [None] * value.rank
    if names is not None:
        dims = [names[a] if size is None else size for a, size in zip(value.shape, value.sizes, strict=True)]
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)
