"""Random graphs full of Transposes: the result is right, has no more Transposes and nodes, and settles."""

import math
import random

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import graphopt
from graphopt.numerics.run import InProcess
from passes.layout import LAYOUT
from tests.support import operators

LENGTHS = (1, 2, 3, 4)
MOST = 400
"""Elements of a tensor."""


class Grown:
    """A graph that grows by random operators on tensors of known shapes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.nodes, self.held, self.shapes = [], [], {}
        rank = self.rng.choice((3, 4, 4))
        self.inputs = {f"x{i}": self.permuted([self.rng.choice(LENGTHS) for _ in range(rank)]) for i in range(2)}
        self.inputs["x1"] = self.permuted(self.inputs["x0"])
        self.shapes.update(self.inputs)

    def permuted(self, values):
        return self.rng.sample(list(values), len(values))

    def constant(self, array):
        name = f"c{len(self.held)}"
        self.held.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, inputs, *shapes, **attrs):
        names = [f"t{len(self.nodes)}_{i}" for i in range(len(shapes))]
        self.nodes.append(helper.make_node(op, inputs, names, **attrs))
        self.shapes.update(zip(names, shapes, strict=True))

    def numbers(self, *shape):
        return np.random.default_rng(self.rng.randrange(1 << 30)).standard_normal(shape).astype(np.float32)

    def grow(self):
        x = self.rng.choice(list(self.shapes)[-5:])
        shape = list(self.shapes[x])
        rank = len(shape)
        step = self.rng.choice(
            [self.turn, self.turn, self.turn, self.unary, self.binary, self.constant_operand, self.along]
        )
        if rank and math.prod(shape) <= MOST:
            self.rng.choice([step, step, self.moved, self.reshaped, self.reduced])(x, shape)
        else:
            self.unary(x, shape)

    def turn(self, x, shape):
        rank = len(shape)
        perm = self.permuted(range(rank))
        self.node("Transpose", [x], [shape[axis] for axis in perm], perm=perm)

    def unary(self, x, shape):
        self.node(self.rng.choice(["Relu", "Neg", "Sigmoid", "Abs"]), [x], shape)

    def binary(self, x, shape):
        others = [name for name, held in self.shapes.items() if list(held) == shape]
        self.node(self.rng.choice(["Add", "Mul", "Sub"]), self.permuted([x, self.rng.choice(others)]), shape)

    def constant_operand(self, x, shape):
        rank = len(shape)
        tail = self.rng.randrange(rank + 1)
        spread = [dim if self.rng.random() < 0.6 else 1 for dim in shape[rank - tail :]]
        self.node(
            self.rng.choice(["Add", "Mul", "Max"]), self.permuted([x, self.constant(self.numbers(*spread))]), shape
        )

    def along(self, x, shape):
        rank = len(shape)
        axis = self.rng.randrange(rank) if rank else None
        if axis is None:
            return self.unary(x, shape)
        kind = self.rng.choice(["Softmax", "CumSum", "Concat", "Slice", "Gather", "Pad", "TopK"])
        if kind == "Softmax":
            self.node("Softmax", [x], shape, axis=axis)
        elif kind == "CumSum":
            self.node("CumSum", [x, self.constant(np.int64(axis))], shape)
        elif kind == "Concat":
            self.node(
                "Concat", [x, x], [2 * dim if at == axis else dim for at, dim in enumerate(shape)], axis=axis - rank
            )
        elif kind == "Slice":
            end = self.rng.randint(1, shape[axis])
            parts = [self.constant(np.array([value])) for value in (0, end, axis)]
            self.node("Slice", [x, *parts], [end if at == axis else dim for at, dim in enumerate(shape)])
        elif kind == "Gather":
            places = np.array([self.rng.randrange(shape[axis]) for _ in range(2)])
            self.node(
                "Gather",
                [x, self.constant(places)],
                [2 if at == axis else dim for at, dim in enumerate(shape)],
                axis=axis,
            )
        elif kind == "Pad":
            pads = np.zeros(2 * rank, np.int64)
            pads[axis] = 1
            self.node("Pad", [x, self.constant(pads)], [dim + (at == axis) for at, dim in enumerate(shape)])
        else:
            self.node(
                "TopK",
                [x, self.constant(np.array([1]))],
                *[[1 if at == axis else dim for at, dim in enumerate(shape)]] * 2,
                axis=axis,
            )
            self.shapes.popitem()
        return None

    def moved(self, x, shape):
        if self.rng.random() < 0.5:
            width = self.rng.choice(LENGTHS)
            self.node("MatMul", [x, self.constant(self.numbers(shape[-1], width))], [*shape[:-1], width])
        else:
            times = [self.rng.choice((1, 1, 2)) for _ in shape]
            self.node("Tile", [x, self.constant(np.array(times))], [t * d for t, d in zip(times, shape, strict=True)])

    def reshaped(self, x, shape):
        rank = len(shape)
        axis = self.rng.randrange(rank)
        if shape[axis] == 1 and rank > 2:
            self.node("Squeeze", [x, self.constant(np.array([axis]))], shape[:axis] + shape[axis + 1 :])
        elif axis and rank > 2:
            target = [*shape[: axis - 1], shape[axis - 1] * shape[axis], *shape[axis + 1 :]]
            self.node("Reshape", [x, self.constant(np.array(target))], target)
        elif rank < 4:
            self.node("Unsqueeze", [x, self.constant(np.array([axis]))], [*shape[:axis], 1, *shape[axis:]])

    def reduced(self, x, shape):
        rank = len(shape)
        axis, keep = self.rng.randrange(rank), self.rng.random() < 0.6 or rank < 3
        left = [1 if at == axis else dim for at, dim in enumerate(shape) if keep or at != axis]
        self.node(
            self.rng.choice(["ReduceMean", "ReduceMax"]), [x, self.constant(np.array([axis]))], left, keepdims=int(keep)
        )

    def model(self, count):
        while len(self.nodes) < count:
            self.grow()
        read = {name for node in self.nodes for name in node.input}
        ends = [name for name in self.shapes if name not in read and name not in self.inputs]
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "random",
            [value(name, onnx.TensorProto.FLOAT, shape) for name, shape in self.inputs.items()],
            [value(name, onnx.TensorProto.FLOAT, self.shapes[name]) for name in ends],
            self.held,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def check(seed):
    model = Grown(seed).model(14)
    onnx.checker.check_model(model, full_check=True)
    result = graphopt.optimize(model, passes=[LAYOUT], verify="full", runner=InProcess())
    report = result.report
    assert not report.rolled_back, report
    assert not report.unverified, report
    assert str(report.whole.status) == "verified"
    assert operators(result.model)["Transpose"] <= operators(model)["Transpose"]
    assert report.after.nodes <= report.before.nodes
    assert report.after.weight_bytes <= report.before.weight_bytes + 64
    again = graphopt.optimize(result.model, passes=[LAYOUT], verify="off", runner=InProcess()).report
    assert not again.rewrites
    return len(report.rewrites)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed):
    check(seed)
