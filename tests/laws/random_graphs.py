"""Random small models: fragments over the operators that rules mention, true spellings of patterns and near misses.

Every node is run by ONNX Runtime as it is added, at two sizes of the free dimensions; a fragment that cannot be run,
or leaves the range of ordinary numbers, is taken back. So what comes out is valid, and its inputs come with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphopt.numerics.session import RunFailure, Session

Array = np.ndarray[Any, Any]

LARGEST = 1e4
MOST_ELEMENTS = 4000
FRAGMENTS_AT_ONCE = 12
ATTRIBUTES_TO_INPUTS = 13
FLOATS = (np.float32, np.float32, np.float32, np.float32, np.float64, np.float16)


class Impossible(Exception):  # noqa: N818 - no error: a fragment that does not fit here
    """The fragment cannot be added to this graph."""


@dataclass(frozen=True)
class Case:
    """A model, and what to feed it at each of two sizes of its free dimensions."""

    model: onnx.ModelProto
    feeds: tuple[dict[str, Array], dict[str, Array]]


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
        """A new input of the graph; None is a free dimension."""
        root = self
        while root.parent is not None:
            root = root.parent
        arrays = tuple(self.draw([free if d is None else d for d in shape], dtype) for free in self.free)
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
        captured = _captured(node)
        used |= {v.name: v for v in self.scope() if v.name in captured}
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

    def scope(self) -> list[Value]:
        return self.values

    def run(self, node: onnx.NodeProto, used: Sequence[Value]) -> list[tuple[Array, Array]]:
        def info(v: Value) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(v.name, helper.np_dtype_to_tensor_dtype(v.dtype), None)

        fixed = [v for v in used if v.constant]
        fed = [v for v in used if not v.constant]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
        graph = helper.make_graph(
            [node],
            "one",
            [info(v) for v in fed],
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
            self.nodes, self.name("g"), [_info(v) for v in inputs], [_info(v) for v in outputs], self.initializers
        )


def _captured(node: onnx.NodeProto) -> set[str]:
    """Names that the subgraphs of a node use and do not define."""
    found: set[str] = set()
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            graph = attribute.g
            own = {i.name for i in graph.input} | {t.name for t in graph.initializer}
            own |= {name for one in graph.node for name in one.output}
            used = {name for one in graph.node for name in one.input} | {o.name for o in graph.output}
            for one in graph.node:
                used |= _captured(one)
            found |= used - own
    return found


def _info(value: Value, names: dict[int, str] | None = None) -> onnx.ValueInfoProto:
    """The type of a value: with the names of free dimensions, or with nothing but its rank."""
    dims: list[Any] = [None] * value.rank
    if names is not None:
        dims = [names[a] if size is None else size for a, size in zip(value.shape, value.sizes, strict=True)]
    return helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(value.dtype), dims)


# ------------------------------------------------------------------------------------- elementwise fragments

BINARY = ("Add", "Add", "Mul", "Mul", "Sub", "Div", "Max", "Min", "Sum")
UNARY = (
    "Relu", "Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Erf", "Softplus", "Exp", "Softsign", "HardSigmoid", "Elu",
    "LeakyRelu", "Identity", "Sqrt", "Log", "Reciprocal", "Ceil", "Not", "Sign", "HardSwish", "Mish", "Gelu", "Selu",
    "Sin", "Round",
)  # fmt: skip
EXACT = {"Relu", "Neg", "Abs", "Identity", "Not", "Max", "Min", "Sign"}
STEPPED = {"Ceil", "Round", "Sign", "Floor"}


def unary(g: Builder) -> None:
    op = g.rng.choice(UNARY)
    x = g.pick(lambda v: (v.exact or not v.floating) if op in STEPPED else True)
    for _ in range(g.rng.choice([1, 1, 1, 2])):
        x = g.emit(op, [x], exact=op in EXACT)


def binary(g: Builder) -> None:
    x, y = g.pick(), g.pick()
    g.emit(g.rng.choice(BINARY), [x, y])


def with_constant(g: Builder) -> None:
    x = g.pick(lambda v: v.dtype != np.bool_)
    for _ in range(g.rng.choice([1, 1, 2, 3])):
        pair = [x, g.operand(x)]
        if g.chance(0.4):
            pair.reverse()
        x = g.emit(g.rng.choice(BINARY), pair, exact=False)


def power(g: Builder) -> None:
    x = g.float()
    g.emit("Pow", [x, g.const(g.rng.choice([2.0, 3.0, 1.0, 0.0, 0.5]), x.dtype)])


def same_twice(g: Builder) -> None:
    x = g.pick()
    g.emit(g.rng.choice(["Add", "Mul", "Sub", "Max", "Min", "Concat"]), [x, x])


def clip(g: Builder) -> None:
    x = g.float()
    for _ in range(g.rng.choice([1, 2])):
        bounds = [
            g.const(v, x.dtype) if g.chance(0.8) else None
            for v in (g.rng.choice([0.0, -1.0]), g.rng.choice([6.0, 0.5, -2.0]))
        ]
        if bounds[-1] is None:
            bounds.pop()
        x = g.emit("Clip", [x, *bounds], exact=True)


def minmax(g: Builder) -> None:
    x = g.float()
    ops = ["Max", "Min"] if g.chance(0.5) else ["Min", "Max"]
    low, high = g.rng.choice([0.0, -1.0]), g.rng.choice([6.0, 0.5, -2.0])
    for op in ops:
        x = g.emit(op, [x, g.number(low if op == "Max" else high, x)], exact=True)


def cast(g: Builder) -> None:
    x = g.pick()
    for _ in range(g.rng.choice([1, 2, 3])):
        kinds = [g.dtype, np.float32, np.float64, np.float16, np.int64, np.int32, np.bool_, np.uint8, np.int8]
        to = np.dtype(g.rng.choice(kinds if x.exact or not x.floating else kinds[:4]))
        if x.floating and to.kind == "u":
            raise Impossible
        x = g.emit("Cast", [x], to=helper.np_dtype_to_tensor_dtype(to), exact=True)


def compare_and_choose(g: Builder) -> None:
    x = g.pick(lambda v: v.exact and v.dtype != np.bool_)
    condition = g.emit(g.rng.choice(["Equal", "Less", "Greater"]), [x, g.operand(x)], exact=True)
    if g.chance(0.3):
        condition = g.emit("Not", [condition], exact=True)
    a = g.pick(lambda v: v.rank <= x.rank)
    g.emit("Where", [condition, a, g.operand(a)], exact=True)


def where_constant(g: Builder) -> None:
    x = g.pick()
    shape = [d if d is not None and g.chance(0.5) else 1 for d in x.sizes]
    mask = np.full(shape, g.chance(0.5)) if g.chance(0.7) else g.draw(shape, bool)
    pair = [x, g.operand(x)]
    if g.chance(0.5):
        pair.reverse()
    g.emit("Where", [g.const(mask, bool), *pair], exact=True)


def logic(g: Builder) -> None:
    x = g.pick(lambda v: v.dtype == np.bool_)
    y = g.const(np.full((1,) * g.rng.randrange(x.rank + 1), g.chance(0.5)), bool)
    g.emit(g.rng.choice(["And", "Or", "Xor"]), [x, y], exact=True)


# ---------------------------------------------------------------------------------------- linear fragments


def scaled(g: Builder, x: Value, channels: int) -> Value:
    """What follows, or stands before, a linear operator: arithmetic by constants that fit its channels, or do not."""
    for _ in range(g.rng.choice([0, 1, 1, 2])):
        style = g.rng.random()
        if style < 0.35 and x.rank >= 2:
            x = batch_norm(g, x)
        else:
            shape: tuple[int, ...] = (channels, *(1,) * (x.rank - 2))
            shape = g.rng.choice([shape, (1, *shape), (), (1,), (1,) * x.rank, (x.sizes[-1] or 1,), (1, 1, *shape)])
            pair = [x, g.const(g.draw(shape, x.dtype) + (1 if g.chance(0.5) else 0), x.dtype)]
            if g.chance(0.3):
                pair.reverse()
            x = g.emit(g.rng.choice(["Add", "Mul", "Sub", "Div"]), pair)
    return x


def batch_norm(g: Builder, x: Value) -> Value:
    channels = x.sizes[1]
    if channels is None:
        raise Impossible
    parts = [g.const(g.draw([channels], x.dtype), x.dtype) for _ in range(3)]
    variance = g.const(np.abs(g.draw([channels], x.dtype)) + 0.1, x.dtype)
    return g.emit("BatchNormalization", [x, *parts, variance], **({"epsilon": 1e-3} if g.chance(0.5) else {}))


def normalised(g: Builder) -> None:
    batch_norm(g, g.float(2))


def image(g: Builder) -> Value:
    """Something with channels and one or two spatial axes."""
    if g.chance(0.6):
        found = [v for v in g.values if v.floating and v.rank in (3, 4) and v.sizes[1] and not v.constant]
        if found:
            return g.rng.choice(found[-3:])
    rank = g.rng.choice([3, 4, 4])
    size = [g.rng.choice([4, 5, 6, None]) for _ in range(rank - 2)]
    return g.feed([g.rng.choice([None, None, 1]), g.rng.choice([2, 4]), *size], g.dtype)


def padded(g: Builder, x: Value) -> Value:
    value = g.rng.choice([0.0, 0.0, 0.0, 1.0, -np.inf if g.dtype != np.float16 else 0.0])
    spatial = x.rank - 2
    begin = [g.rng.choice([0, 1]) for _ in range(spatial)]
    end = [g.rng.choice([0, 1]) for _ in range(spatial)]
    pads = [0, g.rng.choice([0, 0, 0, 0, 1]), *begin, 0, 0, *end]
    mode = g.rng.choice(["constant"] * 4 + ["reflect", "edge"])
    inputs = [x, g.const(pads, np.int64, plain=True)]
    if value or g.chance(0.5):
        inputs.append(g.const(value if np.isfinite(value) else -1.0, x.dtype))
    return g.emit("Pad", inputs, mode=mode, exact=True)


def convolution(g: Builder) -> None:
    x = image(g)
    if g.chance(0.3):
        x = padded(g, x)
    if g.chance(0.3):
        x = scaled(g, x, x.sizes[1] or 1)
    channels, spatial = x.sizes[1], x.rank - 2
    if channels is None:
        raise Impossible
    group = g.rng.choice([1, 1, channels, 2 if channels % 2 == 0 else 1])
    transposed = g.chance(0.25)
    out = g.rng.choice([1, 2]) * group
    kernel = [g.rng.choice([1, 2, 3]) for _ in range(spatial)]
    shape = [channels, out // group, *kernel] if transposed else [out, channels // group, *kernel]
    attrs: dict[str, Any] = {"group": group}
    if g.chance(0.3):
        attrs["strides"] = [g.rng.choice([1, 2]) for _ in range(spatial)]
    if g.chance(0.3):
        attrs["pads"] = [g.rng.choice([0, 1]) for _ in range(2 * spatial)]
    elif g.chance(0.2):
        attrs["auto_pad"] = g.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    if g.chance(0.2):
        attrs["dilations"] = [g.rng.choice([1, 2]) for _ in range(spatial)]
    inputs = [x, g.const(g.draw(shape, x.dtype), x.dtype)]
    if g.chance(0.5):
        inputs.append(g.const(g.draw([out], x.dtype), x.dtype))
    y = g.emit("ConvTranspose" if transposed else "Conv", inputs, **attrs)
    scaled(g, y, out)


def pooling(g: Builder) -> None:
    x = image(g)
    if g.chance(0.5):
        x = padded(g, x)
    spatial = x.rank - 2
    if g.chance(0.2):
        g.emit(g.rng.choice(["GlobalAveragePool", "GlobalMaxPool"]), [x])
        return
    attrs: dict[str, Any] = {"kernel_shape": [g.rng.choice([1, 2, 3]) for _ in range(spatial)]}
    if g.chance(0.4):
        attrs["pads"] = [g.rng.choice([0, 1]) for _ in range(2 * spatial)]
    if g.chance(0.4):
        attrs["strides"] = [g.rng.choice([1, 2]) for _ in range(spatial)]
    if g.chance(0.2):
        attrs["ceil_mode"] = 1
    op = g.rng.choice(["MaxPool", "AveragePool"])
    if op == "AveragePool" and g.chance(0.5):
        attrs["count_include_pad"] = 1
    if op == "MaxPool" and g.chance(0.2):
        g.emits(op, [x], 2, **attrs)
    else:
        g.emit(op, [x], **attrs)


def product(g: Builder) -> None:
    x = g.float(1)
    width = x.sizes[-1]
    if width is None:
        raise Impossible
    if g.chance(0.3):
        x = scaled(g, x, width)
    if x.sizes[-1] != width:
        raise Impossible
    out = g.rng.choice([1, 2, 3])
    weight = g.const(g.draw([width, out], x.dtype), x.dtype)
    if g.chance(0.3):
        weight = g.const(g.draw([out, width], x.dtype), x.dtype)
        weight = g.emit("Transpose", [weight], perm=[1, 0], exact=True)
    if g.chance(0.1):
        weight = g.const(g.draw([2, width, out], x.dtype), x.dtype)
    y = g.emit("MatMul", [x, weight])
    bias = g.rng.choice([(out,), (out,), (1, out), (), (1,), (1, 1, out)])
    if g.chance(0.7):
        pair = [y, g.const(g.draw(bias, x.dtype), x.dtype)]
        if g.chance(0.5):
            pair.reverse()
        y = g.emit("Add", pair)
    scaled(g, y, out)


def gemm(g: Builder) -> None:
    x = g.float(2, 2)
    if g.chance(0.3):
        x = g.emit("Transpose", [x], perm=[1, 0], exact=True)
    attrs: dict[str, Any] = {key: 1 for key in ("transA", "transB") if g.chance(0.3)}
    width = x.sizes[0 if attrs.get("transA") else 1]
    if width is None:
        raise Impossible
    if g.chance(0.2):
        attrs["alpha"] = 0.5
    if g.chance(0.2):
        attrs["beta"] = 2.0
    out = g.rng.choice([1, 2, 3])
    shape = [out, width] if attrs.get("transB") else [width, out]
    inputs = [x, g.const(g.draw(shape, x.dtype), x.dtype)]
    if g.chance(0.6):
        inputs.append(g.const(g.draw(g.rng.choice([(out,), (1, out), (1,), ()]), x.dtype), x.dtype))
    y = g.emit("Gemm", inputs, **attrs)
    if g.chance(0.3):
        y = g.emit("Transpose", [y], perm=[1, 0], exact=True)
    scaled(g, y, out)


def product_of_values(g: Builder) -> None:
    x = g.float(2)
    y = g.float(2)
    if g.chance(0.5):
        perm = list(range(y.rank))
        perm[-1], perm[-2] = perm[-2], perm[-1]
        if g.chance(0.2):
            g.rng.shuffle(perm)
        y = g.emit("Transpose", [y], perm=perm, exact=True)
    z = g.emit("MatMul", [x, y])
    if g.chance(0.5):
        g.emit(g.rng.choice(["Mul", "Div", "Add"]), [z, g.number(g.rng.choice([0.125, 8.0, 3.0]), z)])


# -------------------------------------------------------------------------------------- movement fragments


def shape_of(g: Builder, x: Value) -> Value:
    attrs = {}
    if g.opset >= 15 and g.chance(0.3) and x.rank:
        attrs = {"start": g.rng.randrange(x.rank), "end": g.rng.choice([x.rank, -1])}
    return g.emit("Shape", [x], exact=True, **attrs)


def entry(g: Builder, shape: Value, index: int, *, scalar: bool = False) -> Value:
    """One element of a shape, by Gather or Slice, of rank 1."""
    if g.chance(0.3) and not scalar:
        bounds = [g.const([v], np.int64, plain=True) for v in (index, index + 1)]
        return g.emit("Slice", [shape, *bounds, g.const([0], np.int64, plain=True)], exact=True)
    if g.chance(0.3) and not scalar:
        return g.emit("Gather", [shape, g.const([index], np.int64, plain=True)], axis=0, exact=True)
    one = g.emit("Gather", [shape, g.const(index, np.int64, plain=True)], axis=0, exact=True)
    return one if scalar else g.axes("Unsqueeze", one, [0])


def reshape(g: Builder) -> None:
    x = g.pick(lambda v: v.rank <= 5)
    attrs: dict[str, Any] = {"allowzero": 1} if g.opset >= 14 and g.chance(0.1) else {}
    for _ in range(g.rng.choice([1, 1, 2])):
        sizes = [1 if s is None else s for s in x.sizes]
        style = g.rng.random()
        if style < 0.4 or x.rank == 0:
            options = [
                [-1],
                [0, -1],
                [-1, *sizes[1:]],
                [0] * x.rank,
                [1, -1],
                sizes,
                [-1, *sizes[-1:]],
                [0, 0, -1],
                [*sizes[:1], -1],
            ]
            x = g.emit("Reshape", [x, g.const(g.rng.choice(options), np.int64, plain=True)], exact=True, **attrs)
        else:
            shape = g.emit("Shape", [x], exact=True)
            keep = [entry(g, shape, i) for i in range(g.rng.randrange(1, x.rank + 1))]
            if g.chance(0.3):
                keep[-1] = g.emit(
                    "Mul", [keep[-1], g.const(g.rng.choice([1, [1], 2]), np.int64, plain=True)], exact=True
                )
            tail = g.const([-1], np.int64, plain=True)
            parts = [*keep, tail] if g.chance(0.6) else [tail, *keep]
            if g.chance(0.2):
                parts[0] = g.const([0], np.int64, plain=True)
            target = g.emit("Concat", parts, axis=0, exact=True)
            x = g.emit("Reshape", [x, target], exact=True, **attrs)


def flatten(g: Builder) -> None:
    x = g.pick()
    g.emit("Flatten", [x], axis=g.rng.randrange(-x.rank, x.rank + 1), exact=True)


def transpose(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 2)
    for _ in range(g.rng.choice([1, 1, 2])):
        perm = list(range(x.rank))
        g.rng.shuffle(perm)
        x = g.emit("Transpose", [x], exact=True, **({"perm": perm} if g.chance(0.9) else {}))


def squeeze(g: Builder) -> None:
    x = g.pick(lambda v: v.rank <= 4)
    for _ in range(g.rng.choice([1, 2, 2, 3])):
        ones = [i for i, size in enumerate(x.sizes) if size == 1]
        if ones and g.chance(0.5):
            axes = g.rng.sample(ones, g.rng.randrange(1, len(ones) + 1))
            x = g.axes("Squeeze", x, [a - x.rank if g.chance(0.3) else a for a in axes])
        else:
            count = g.rng.choice([1, 1, 2])
            axes = g.rng.sample(range(x.rank + count), count)
            x = g.axes("Unsqueeze", x, [a - x.rank - count if g.chance(0.3) else a for a in axes])


def slicing(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    for _ in range(g.rng.choice([1, 1, 2])):
        axes = g.rng.sample(range(x.rank), g.rng.choice([1, 1, min(2, x.rank)]))
        starts = [g.rng.choice([0, 0, 1, -2, -1, 5]) for _ in axes]
        ends = [g.rng.choice([1, 2, 3, -1, 1000, (1 << 63) - 1, (1 << 31) - 1]) for _ in axes]
        steps = [g.rng.choice([1, 1, 1, 2, -1]) for _ in axes]
        back = [g.rng.choice([-(1 << 31), 0, -1]) if end > 1000 or g.chance(0.5) else end for end in ends]
        ends = [b if step < 0 else end for b, end, step in zip(back, ends, steps, strict=True)]
        axes = [a - x.rank if g.chance(0.3) else a for a in axes]
        kind = g.rng.choice([np.int64, np.int64, np.int32])
        if kind is np.int32:
            ends = [min(end, (1 << 31) - 1) for end in ends]
        inputs = [x, g.const(starts, kind, plain=True), g.const(ends, kind, plain=True)]
        if axes != [0] or g.chance(0.5):
            inputs.append(g.const(axes, kind, plain=True))
        if len(inputs) == 4 and (steps != [1] * len(axes) or g.chance(0.5)):
            inputs.append(g.const(steps, kind, plain=True))
        y = g.emit("Slice", inputs, exact=True)
        if 0 in y.shape and g.chance(0.8):
            raise Impossible
        x = y


def concat(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    axis = g.rng.randrange(x.rank)
    like = [v for v in g.values if v.dtype == x.dtype and v.rank == x.rank and _fits(v, x, axis)]
    parts = [g.rng.choice(like) for _ in range(g.rng.choice([1, 2, 2, 3]))]
    if g.chance(0.3) and None not in (*x.sizes[:axis], *x.sizes[axis + 1 :]):
        shape = [1 if i == axis else s or 1 for i, s in enumerate(x.sizes)]
        parts += [g.const(g.draw(shape, x.dtype), x.dtype) for _ in range(g.rng.choice([1, 2]))]
    y = g.emit("Concat", parts, axis=axis - x.rank if g.chance(0.3) else axis, exact=True)
    if g.chance(0.3):
        g.emit("Concat", [y, x], axis=axis, exact=True)


def _fits(a: Value, b: Value, axis: int) -> bool:
    return all(
        i == axis or x.arrays[k].shape[i] == y.arrays[k].shape[i]
        for x, y in [(a, b)]
        for k in range(2)
        for i in range(b.rank)
    )


def split(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    axis = g.rng.randrange(x.rank)
    size = x.sizes[axis]
    if size is None:
        raise Impossible
    parts = [size] if g.chance(0.2) else [size // 2, size - size // 2]
    if g.opset < ATTRIBUTES_TO_INPUTS:
        pieces = g.emits("Split", [x], len(parts), axis=axis, split=parts, exact=True)
    elif g.opset >= 18 and len(set(parts)) == 1 and g.chance(0.5):
        pieces = g.emits("Split", [x], len(parts), axis=axis, num_outputs=len(parts), exact=True)
    else:
        pieces = g.emits("Split", [x, g.const(parts, np.int64, plain=True)], len(parts), axis=axis, exact=True)
    if g.chance(0.4):
        if g.chance(0.3):
            pieces.reverse()
        g.emit("Concat", pieces, axis=axis, exact=True)


def gather(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    axis = g.rng.randrange(x.rank)
    indices = g.rng.choice([0, [0], [0, 0], [[0, 0]], [0, -1], -1])
    g.emit("Gather", [x, g.const(indices, g.rng.choice([np.int64, np.int32]))], axis=axis, exact=True)


def expand(g: Builder) -> None:
    x = g.pick(lambda v: v.rank <= 4)
    if g.chance(0.5):
        y = g.pick(lambda v: v.rank <= 4)
        g.emit("Expand", [x, g.emit("Shape", [y], exact=True)], exact=True)
        return
    target = [s if s and g.chance(0.5) else 1 for s in x.sizes]
    if g.chance(0.3):
        target = [2, *target]
    if not target:
        target = [1]
    g.emit("Expand", [x, g.const(target, np.int64, plain=True)], exact=True)


def tile(g: Builder) -> None:
    x = g.pick(lambda v: 1 <= v.rank <= 4)
    g.emit("Tile", [x, g.const([g.rng.choice([1, 1, 2]) for _ in range(x.rank)], np.int64, plain=True)], exact=True)


def filled(g: Builder) -> None:
    """ConstantOfShape or Range from the shape of something."""
    x = g.pick(lambda v: v.rank >= 1)
    shape = shape_of(g, x)
    if g.chance(0.5):
        index = g.rng.randrange(max(shape.shape[0], 1))
        size = entry(g, g.emit("Shape", [x], exact=True), min(index, x.rank - 1), scalar=True)
        ends = [g.const(0, np.int64, plain=True), size, g.const(g.rng.choice([1, 2]), np.int64, plain=True)]
        y = g.emit("Range", ends, exact=True)
        if g.chance(0.5):
            g.emit("Cast", [y], to=helper.np_dtype_to_tensor_dtype(np.dtype(g.dtype)), exact=True)
        return
    value = np.array([g.rng.choice([0, 1, 2])], g.rng.choice([g.dtype, np.int64, np.bool_]))
    y = g.emit("ConstantOfShape", [shape], value=numpy_helper.from_array(value), exact=True)
    if y.dtype == x.dtype and g.chance(0.6):
        g.emit(g.rng.choice(["Add", "Mul"]), [x, y])


def shape_arithmetic(g: Builder) -> None:
    x = g.pick(lambda v: v.rank >= 1)
    shape = g.emit("Shape", [x], exact=True)
    a, b = (entry(g, shape, g.rng.randrange(x.rank)) for _ in range(2))
    c = g.emit(g.rng.choice(["Add", "Mul", "Sub", "Div", "Max", "Min"]), [a, b], exact=True)
    if g.chance(0.5):
        c = g.emit(g.rng.choice(["Add", "Mul", "Div"]), [c, g.const(g.rng.choice([1, [1], [2]]), np.int64)], exact=True)
    if g.chance(0.4):
        for to in (g.dtype, np.int64):
            c = g.emit("Cast", [c], to=helper.np_dtype_to_tensor_dtype(np.dtype(to)), exact=True)
    if g.chance(0.3):
        g.emit("Equal", [c, g.const(g.rng.choice([[1], [2]]), np.int64)], exact=True)


def reduction(g: Builder) -> None:
    x = g.float(1)
    op = g.rng.choice(
        ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare", "ReduceProd"]
    )
    axes = g.rng.sample(range(-x.rank, 0) if g.chance(0.5) else range(x.rank), g.rng.choice([1, 1, min(2, x.rank)]))
    g.reduce(op, x, axes, g.rng.choice([0, 1, 1]))


def resize(g: Builder) -> None:
    x = image(g)
    scales = [1.0, 1.0, *(g.rng.choice([1.0, 1.0, 2.0]) for _ in range(x.rank - 2))]
    g.emit("Resize", [x, None, g.const(scales, np.float32, plain=True)], mode=g.rng.choice(["nearest", "linear"]))


def dropout(g: Builder) -> None:
    x = g.float()
    count = g.rng.choice([1, 1, 2])
    if g.opset < 12:
        g.emits("Dropout", [x], count, exact=True)
    else:
        g.emits("Dropout", [x, g.const(0.5, x.dtype, plain=True)][: g.rng.choice([1, 2])], count, exact=True)


def again(g: Builder) -> None:
    """A node once more, as it stands: a common subexpression."""
    if not g.nodes:
        raise Impossible
    node = g.rng.choice([n for n in g.nodes if n.op_type != "Constant"] or g.nodes)
    by_name = {v.name: v for v in g.values}
    inputs = [by_name.get(name) if name else None for name in node.input]
    if any(v is None and name for v, name in zip(inputs, node.input, strict=True)):
        raise Impossible
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    exact = all(v.exact for v in g.values if v.name in node.output)
    g.emits(node.op_type, inputs, len(node.output), exact=exact, **attrs)


# --------------------------------------------------------------------------------------- spelled patterns


def times(g: Builder, a: Value, b: Value) -> Value:
    return g.emit("Mul", [b, a] if g.chance(0.3) else [a, b])


def plus(g: Builder, a: Value, b: Value) -> Value:
    return g.emit("Add", [b, a] if g.chance(0.3) else [a, b])


OFF = 0.08


def gelu(g: Builder) -> None:
    x = g.float()
    if g.chance(0.5):
        inner = g.emit("Div", [x, g.number(2**0.5, x, off=OFF)])
    else:
        inner = times(g, x, g.number(0.5**0.5, x, off=OFF))
    bell = plus(g, g.emit("Erf", [inner]), g.number(1.0, x, off=OFF))
    style = g.rng.random()
    if style < 0.4:
        y = times(g, times(g, x, bell), g.number(0.5, x, off=OFF))
    elif style < 0.7:
        y = times(g, times(g, x, g.number(0.5, x, off=OFF)), bell)
    else:
        y = times(g, x, times(g, bell, g.number(0.5, x, off=OFF)))
    leak(g, [inner, bell, y])


def gelu_tanh(g: Builder) -> None:
    x = g.float()
    cube = g.emit("Pow", [x, g.number(3.0, x, off=OFF)]) if g.chance(0.5) else times(g, times(g, x, x), x)
    inner = plus(g, x, times(g, cube, g.number(0.044715, x, off=OFF)))
    bent = g.emit("Tanh", [times(g, inner, g.number((2 / np.pi) ** 0.5, x, off=OFF))])
    bell = plus(g, bent, g.number(1.0, x, off=OFF))
    y = times(g, times(g, x, g.number(0.5, x, off=OFF)), bell)
    leak(g, [cube, inner, bell, y])


def swish(g: Builder) -> None:
    x = g.float()
    inner = x if g.chance(0.5) else times(g, x, g.number(1.702, x, off=OFF))
    gate = g.emit("Sigmoid", [inner])
    leak(g, [gate, times(g, x, gate)])


def hard_swish(g: Builder) -> None:
    x = g.float()
    shifted = plus(g, x, g.number(3.0, x, off=OFF))
    if g.chance(0.5):
        clipped = g.emit("Clip", [shifted, g.const(0.0, x.dtype, plain=True), g.const(6.0, x.dtype, plain=True)])
    else:
        clipped = g.emit("Min", [g.emit("Max", [shifted, g.number(0.0, x)]), g.number(6.0, x, off=OFF)])
    if g.chance(0.5):
        gate = g.emit("Div", [clipped, g.number(6.0, x, off=OFF)])
        y = times(g, x, gate)
    else:
        gate = times(g, x, clipped)
        y = times(g, gate, g.number(1 / 6, x, off=OFF))
    leak(g, [shifted, gate, y])


def mish(g: Builder) -> None:
    x = g.float()
    if g.chance(0.5):
        soft = g.emit("Softplus", [x])
    else:
        soft = g.emit("Log", [plus(g, g.emit("Exp", [x]), g.number(1.0, x, off=OFF))])
    leak(g, [soft, times(g, x, g.emit("Tanh", [soft]))])


def leaky(g: Builder) -> None:
    """LeakyRelu, PRelu, Softsign and Sigmoid from parts."""
    x = g.float()
    style = g.rng.randrange(4)
    if style == 0:
        g.emit("Max", [x, times(g, x, g.number(0.1, x, off=OFF))])
    elif style == 1:
        negative = times(g, g.emit("Relu", [g.emit("Neg", [x])]), g.number(-0.1, x, off=OFF))
        plus(g, g.emit("Relu", [x]), negative)
    elif style == 2:
        g.emit("Div", [x, plus(g, g.emit("Abs", [x]), g.number(1.0, x, off=OFF))])
    else:
        below = plus(g, g.emit("Exp", [g.emit("Neg", [x])]), g.number(1.0, x, off=OFF))
        g.emit("Div", [g.number(1.0, x, off=OFF), below]) if g.chance(0.5) else g.emit("Reciprocal", [below])


def some_axes(g: Builder, x: Value) -> list[int]:
    axes = g.rng.choice([[-1], [-1], [-2, -1], [1], list(range(2, x.rank)), list(range(1, x.rank))])
    if not axes or min(axes) < -x.rank or max(axes) >= x.rank:
        raise Impossible
    return [a + x.rank if a < 0 and g.chance(0.4) else a for a in axes]


def layer_norm(g: Builder) -> None:
    x = g.float(1)
    axes = some_axes(g, x)
    mean = g.reduce("ReduceMean", x, axes)
    centred = g.emit("Sub", [x, mean])
    other = g.emit("Sub", [x, mean]) if g.chance(0.2) else centred
    square = g.emit("Pow", [other, g.number(2.0, x, off=OFF)]) if g.chance(0.6) else g.emit("Mul", [other, other])
    variance = g.reduce("ReduceMean", square, axes if g.chance(0.95) else [0])
    _scaled_norm(g, x, centred, variance, [mean, centred, variance])


def rms_norm(g: Builder) -> None:
    x = g.float(1)
    square = g.emit("Pow", [x, g.number(2.0, x, off=OFF)]) if g.chance(0.6) else g.emit("Mul", [x, x])
    mean = g.reduce("ReduceMean", square, some_axes(g, x))
    _scaled_norm(g, x, x, mean, [square, mean])


def _scaled_norm(g: Builder, x: Value, top: Value, variance: Value, inner: list[Value]) -> None:
    root = g.emit("Sqrt", [plus(g, variance, g.number(g.rng.choice([1e-5, 1e-3, 0.0, 0.1]), x))])
    if g.chance(0.5):
        y = g.emit("Div", [top, root])
    else:
        y = times(
            g, top, g.emit("Reciprocal", [root]) if g.chance(0.5) else g.emit("Div", [g.number(1.0, x, off=OFF), root])
        )
    if g.chance(0.8):
        y = times(g, y, g.operand(y))
    if g.chance(0.6):
        y = plus(g, y, g.operand(y))
    leak(g, [*inner, root, y])


def group_norm(g: Builder) -> None:
    x = image(g)
    channels = x.sizes[1]
    if channels is None:
        raise Impossible
    groups = g.rng.choice([1, 2, channels])
    flat = g.emit("Reshape", [x, g.const([0, groups, -1], np.int64, plain=True)], exact=True)
    ones = [
        g.const(np.ones(groups) if g.chance(0.9) else g.draw([groups], x.dtype), x.dtype),
        g.const(np.zeros(groups), x.dtype),
    ]
    inner = g.emit("InstanceNormalization", [flat, *ones])
    y = g.emit("Reshape", [inner, g.emit("Shape", [x], exact=True)], exact=True)
    if g.chance(0.8):
        shape = (channels, *(1,) * (x.rank - 2)) if g.chance(0.9) else (1,)
        y = plus(g, times(g, y, g.const(g.draw(shape, x.dtype), x.dtype)), g.const(g.draw(shape, x.dtype), x.dtype))
    leak(g, [flat, inner, y])


def softmax(g: Builder) -> None:
    x = g.float(1)
    axes = [g.rng.randrange(-x.rank, x.rank)]
    top = g.emit("Sub", [x, g.reduce("ReduceMax", x, axes)]) if g.chance(0.7) else x
    powers = g.emit("Exp", [top])
    total = g.reduce("ReduceSum", powers, axes if g.chance(0.9) else [0], 1 if g.chance(0.9) else 0)
    if g.chance(0.6):
        y = g.emit("Div", [powers, total])
        if g.chance(0.5):
            y = g.emit("Log", [y])
    else:
        y = g.emit("Sub", [top, g.emit("Log", [total])])
    leak(g, [powers, total, y])


def softmax_operator(g: Builder) -> None:
    x = g.float(1)
    op = g.rng.choice(["Softmax", "LogSoftmax"])
    y = g.emit(op, [x], **({"axis": g.rng.randrange(-x.rank, x.rank)} if g.chance(0.8) else {}))
    if op == "Softmax" and g.chance(0.5):
        g.emit("Log", [y])


def length(g: Builder) -> None:
    x = g.float(1)
    square = g.emit("Pow", [x, g.number(2.0, x, off=OFF)]) if g.chance(0.5) else g.emit("Mul", [x, x])
    total = g.reduce("ReduceSum", square, some_axes(g, x), g.rng.choice([0, 1]))
    leak(g, [square, total, g.emit("Sqrt", [total])])


def leak(g: Builder, inner: Sequence[Value]) -> None:
    """Now and then an inner value of a pattern is used by something else, or is an output of the graph."""
    if g.chance(0.15):
        value = g.rng.choice(list(inner))
        if g.chance(0.5):
            g.wanted.append(value)
        else:
            g.emit("Neg", [value])


# ------------------------------------------------------------------------------------------- control flow


def branch(g: Builder) -> None:
    style = g.rng.random()
    if style < 0.5:
        condition = g.const(np.array(g.chance(0.5)), bool)
    elif style < 0.75:
        condition = g.feed([], np.bool_)
    else:
        x = g.pick(lambda v: v.rank >= 1)
        size = entry(g, g.emit("Shape", [x], exact=True), g.rng.randrange(x.rank), scalar=True)
        condition = g.emit("Equal", [size, g.const(g.rng.choice([1, 2, 3]), np.int64, plain=True)], exact=True)
    x = g.float()
    graphs = []
    for _ in range(2):
        child = g.child()
        y = child.emit(g.rng.choice(["Relu", "Neg", "Identity", "Sigmoid"]), [x])
        for _ in range(g.rng.choice([0, 1, 2])):
            child.attempt(g.rng.choice([with_constant, swish, again, dropout, cast, unary, shape_arithmetic]))
        candidates = [v for v in child.values if v.dtype == x.dtype and any(v.name in n.output for n in child.nodes)]
        graphs.append(child.body([g.rng.choice(candidates) if g.chance(0.5) else y]))
    g.emit("If", [condition], then_branch=graphs[0], else_branch=graphs[1])


def loop(g: Builder) -> None:
    x = g.float(0, 3)
    y = g.float(0, 3)
    child = g.child()
    step, go = Value(g.name("i"), (np.array(0),) * 2, constant=False), Value(g.name("go"), (np.array(True),) * 2)
    state = Value(g.name("s"), x.arrays, exact=x.exact)
    child.values += [state]
    new = child.emit("Add", [state, y])
    if any(a.shape != b.shape for a, b in zip(new.arrays, x.arrays, strict=True)):
        raise Impossible
    new = child.emit(g.rng.choice(["Tanh", "Sigmoid", "Identity"]), [new])
    child.nodes.append(helper.make_node("Identity", [go.name], [f"{go.name}_out"], name=g.name("n")))
    done = Value(f"{go.name}_out", go.arrays)
    body = child.body([done, new], [step, go, state])
    trips = g.const(np.array(g.rng.choice([0, 1, 2])), np.int64)
    g.emit("Loop", [trips, g.const(np.array(True), bool) if g.chance(0.7) else None, x], body=body)


FRAGMENTS: tuple[Callable[[Builder], object], ...] = (
    unary, unary, binary, with_constant, with_constant, power, same_twice, clip, minmax, cast, cast,
    compare_and_choose, where_constant, logic, normalised, convolution, convolution, pooling, product, gemm,
    product_of_values, reshape, reshape, flatten, transpose, squeeze, slicing, slicing, concat, split, gather, expand,
    tile, filled, shape_arithmetic, reduction, resize, dropout, again, gelu, gelu_tanh, swish, hard_swish, mish, leaky,
    layer_norm, rms_norm, group_norm, softmax, softmax_operator, length, branch, loop,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------- models


def random_model(seed: int) -> Case:
    """The model of a seed, and its inputs. The same on every machine with the same ONNX Runtime."""
    rng = random.Random(seed)  # noqa: S311 - a test's choices
    while True:
        case = _attempted(rng)
        if _runs(case):
            return case


def _runs(case: Case) -> bool:
    """Whether the runtime takes the model as a whole: it knows more reasons to refuse than those of its nodes."""
    try:
        with Session(case.model.SerializeToString()) as session:
            for feeds in case.feeds:
                session.run(feeds)
    except RunFailure:
        return False
    return True


def _attempted(rng: random.Random) -> Case:
    opset = rng.choice([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
    g = Builder(rng, opset, rng.choice(FLOATS), rng.choice([(2, 3), (1, 4), (3, 2), (5, 1)]))
    for _ in range(rng.choice([1, 1, 2, 3])):
        rank = rng.choice([0, 1, 2, 2, 3, 3, 4])
        dtype = g.dtype if rng.random() < 0.85 else rng.choice([np.int64, np.int32, np.bool_, np.float32])
        g.feed([rng.choice([None, None, 1, 2, 3, 4]) for _ in range(rank)], dtype)
    most = rng.choice([3, 5, 8, 12, 15])
    for _ in range(4 * FRAGMENTS_AT_ONCE):
        if len(g.nodes) >= most:
            break
        g.attempt(rng.choice(FRAGMENTS))
    return _finished(g)


def _finished(g: Builder) -> Case:
    rng = g.rng
    used = {name for node in g.nodes for name in (*node.input, *_captured(node))}
    produced = {name for node in g.nodes for name in node.output}
    loose = [v for v in g.values if v.name in produced and v.name not in used]
    outputs = [v for v in loose if rng.random() < 0.9] + g.wanted
    outputs += [v for v in g.values if v.name in produced and rng.random() < 0.05]
    given = {t.name for t in g.initializers}
    outputs += [v for v in g.values if v.name in given and v not in g.overridable and rng.random() < 0.05]
    outputs += [v for v in g.inputs if rng.random() < 0.05]
    outputs = list(dict.fromkeys(outputs)) or [g.values[-1] if g.values[-1].name in produced else g.inputs[0]]
    names = {a: f"N{a}" for a in range(MOST_ELEMENTS)} | {g.free[0]: "N"}
    graph = helper.make_graph(
        g.nodes, rng.choice(["graph", "g", "a graph", names[g.free[0]]]),
        [_info(v, names) for v in (*g.inputs, *g.overridable)],
        [_info(v) for v in outputs],
        g.initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=g.imports(), ir_version=8)
    if rng.random() < 0.5:
        inferred = onnx.shape_inference.infer_shapes(model)
        if rng.random() < 0.5:
            del inferred.graph.value_info[:]
        model = inferred
    feeds = tuple({v.name: v.arrays[i] for v in g.inputs} for i in range(2))
    return Case(model, (feeds[0], feeds[1]))
