"""What a region is fed where windows move over large pictures: small ones, of sizes that are rounded alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.shape_inference import infer_shapes

import graphopt
from graphopt import Close, Value, op, rule
from graphopt.ir.reader import load
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.pictures import BORDER, smaller
from graphopt.numerics.run import InProcess, PairResult, check_pair
from graphopt.pipeline.journal import Status
from tests.support import proto


def cut(body, inputs, weights=None, shapes=None):
    """The sizes of pictures that the main graph is fed instead, by name."""
    declared = ", ".join(f"float{list(shape)} {name}" for name, shape in inputs.items())
    text = f"g ({declared}) => (float[a, b, c, d] y) {{ {body} }}"
    graph = load(proto(text, weights)).graph
    fed = {tensor: inputs[tensor.name] for tensor in graph.inputs}
    wanted = {tensor: shapes[tensor.name] for tensor in graph.outputs if tensor.name in (shapes or {})}
    return {tensor.name: shape for tensor, shape in smaller(graph.nodes, fed, wanted).items()}


W = {"w": np.ones((4, 4, 3, 3), np.float32), "b": np.ones(4, np.float32), "row": np.ones((4, 1, 1), np.float32)}
CONV = "y = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)"


def test_a_picture_shrinks_to_its_largest_window_and_a_border():
    assert cut(CONV, {"x": (2, 4, 64, 48)}, W) == {"x": (2, 4, 3 + BORDER, 3 + BORDER)}
    wide = CONV.replace("pads = [1, 1, 1, 1]", "dilations = [1, 6], pads = [1, 6, 1, 6]")
    assert cut(wide, {"x": (2, 4, 64, 48)}, W) == {"x": (2, 4, 3 + BORDER, 13 + BORDER)}


def test_what_is_small_stays():
    assert cut(CONV, {"x": (2, 4, 5, 7)}, W) == {"x": (2, 4, 5, 7)}


def test_sizes_stay_alike_modulo_all_strides():
    """So that an odd size does not become even, and the branches of a residual fit each other."""
    body = """a = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(x, w)
        c = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a)  y = Add(c, z)"""
    assert cut(body, {"x": (1, 4, 65, 64), "z": (1, 4, 16, 16)}, W) == {"x": (1, 4, 29, 28), "z": (1, 4, 7, 7)}


def test_a_transposed_convolution_makes_pictures_larger():
    body = "a = ConvTranspose<kernel_shape = [2, 2], strides = [2, 2]>(x, k) y = Mul(a, z)"
    weights = {"k": np.ones((4, 4, 2, 2), np.float32)}
    assert cut(body, {"x": (1, 4, 50, 50), "z": (1, 4, 100, 100)}, weights) == {"x": (1, 4, 6, 6), "z": (1, 4, 12, 12)}


@pytest.mark.parametrize(
    "body",
    [
        "y = GlobalAveragePool(x)",
        "y = Transpose<perm = [0, 2, 3, 1]>(x)",
        "y = Softmax<axis = 3>(x)",
        "y = Add(x, whole)",
        "y = MatMul(x, square)",
        "y, other = MaxPool<kernel_shape = [2, 2]>(x)",
        "y = Conv<strides = [0, 1]>(x, w)",
        "y = Conv<dilations = [1]>(x, w)",
        "y = ConvTranspose<output_shape = [65, 65]>(x, w)",
        "a = Conv<strides = [2, 2]>(x, w) y = Add(a, x)",
        "a = Relu(whole) y = Add(x, a)",
        "y = custom.Add(x, x)",
        """k = If(true) <then_branch = t () => (u) { u = Relu(x) }, else_branch = e () => (v) { v = Neg(x) }>
        y = Conv<kernel_shape = [3, 3]>(x, k)""",
    ],
)
def test_where_other_things_happen_to_pictures_they_stay(body):
    weights = W | {
        "whole": np.ones((4, 64, 64), np.float32),
        "square": np.ones((64, 64), np.float32),
        "true": np.array(True),
    }
    assert cut(body, {"x": (1, 4, 64, 64)}, weights) == {}


def test_what_is_the_same_all_over_a_picture_may_be_read_besides():
    body = "a = Mul(x, row) c = BatchNormalization(a, b, b, b, b) d = Mul(c, scales) y = Clip(d, low)"
    weights = W | {"low": np.array(0, np.float32)}
    assert cut(body, {"x": (1, 4, 64, 64), "scales": (1, 4, 1, 1)}, weights) == {"x": (1, 4, 5, 5)}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Conv", "MaxPool", "AveragePool"]), st.integers(1, 4), st.integers(1, 3), st.booleans()
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(60, 140),
)
def test_a_chain_of_windows_gives_what_is_cut_as_much(chain, size):
    """Cut by a multiple of all strides, the last picture loses what the first does, over the strides."""
    body, last, total = [], "x", 1
    for index, (operator, kernel, stride, ceil) in enumerate(chain):
        ceiling = f", ceil_mode = {int(ceil)}" if operator != "Conv" else ""
        weights = f", w{kernel}" if operator == "Conv" else ""
        made = "y" if index == len(chain) - 1 else f"t{index}"
        window = f"kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}]{ceiling}"
        body.append(f"{made} = {operator}<{window}>({last}{weights})")
        last, total = made, total * stride
    weights = {f"w{kernel}": np.ones((4, 4, kernel, kernel), np.float32) for kernel in range(1, 5)}
    full = shape_of("\n".join(body), size, weights)
    found = cut("\n".join(body), {"x": (1, 4, size, size)}, weights, {"y": full})
    lost = size - found["x"][2]
    assert lost % total == 0
    assert shape_of("\n".join(body), found["x"][2], weights)[2] == full[2] - lost // total


def shape_of(body, size, weights):
    inferred = infer_shapes(proto(f"g (float[1, 4, {size}, {size}] x) => (float[a, b, c, d] y) {{ {body} }}", weights))
    return tuple(dim.dim_value for dim in inferred.graph.output[0].type.tensor_type.shape.dim)


# ---- regions ----

x, w = Value("x"), graphopt.Const("w")
PICTURE = f"g (float[1, 4, 64, 64] x) => (float[1, 4, 64, 64] y) {{ {CONV} }}"


@rule(op.Conv(x, w), numerics=Close(4))
def right(m, new):
    """The same by another name."""
    return new.Identity(new.FusedConv(m[x], m[w], domain="com.microsoft", **m.root.attrs))


@rule(op.Conv(x, w), numerics=Close(4))
def one_border_less(m, new):
    """Padded and cut another way: right but for one row at the border."""
    return new.Conv(m[x], m[w], **m.root.attrs | {"dilations": [1, 1], "pads": [2, 1, 0, 1]})


class Sizes(InProcess):
    """Takes down the sizes of the pictures that regions are run on; what is small is said to be wrong if so asked."""

    def __init__(self, *, doubting=False):
        self.seen, self.doubting = [], doubting

    def check_pair(self, before, after, feeds, contract, **options):
        if isinstance(after, str):
            return check_pair(before, after, feeds, contract, **options)
        sizes = {max(feed.draw()["i0"].shape) for feed in feeds}
        self.seen.append(sizes)
        result = check_pair(before, after, feeds, contract, **options)
        return (
            PairResult(failure=RunFailure("crash", "It is doubted."), side="before")
            if self.doubting and max(sizes) < 64
            else result
        )


@pytest.mark.parametrize(("level", "size"), [("region", 7), ("full", 64)])
def test_a_region_is_run_on_small_pictures_unless_all_is_to_be_checked(level, size):
    runner = Sizes()
    report = graphopt.optimize(proto(PICTURE, W), passes=[right], verify=level, runner=runner).report
    assert report.hits == {"right": 1}
    assert report.whole.status is Status.VERIFIED
    assert runner.seen == [{size}]


@pytest.mark.parametrize("behind", ["", "z = Relu(y)"])
@pytest.mark.parametrize("runner", [None, InProcess()], ids=["ahead", "step by step"])
def test_what_is_wrong_only_at_the_border_is_wrong_on_small_pictures_too(behind, runner):
    text = f"g (float[1, 4, 64, 64] x) => (float[1, 4, 64, 64] {'z' if behind else 'y'}) {{ {CONV} {behind} }}"
    report = graphopt.optimize(proto(text, W), passes=[one_border_less], runner=runner).report
    assert [entry.verdict.status for entry in report.rolled_back] == [Status.WRONG]


def test_what_does_not_hold_on_small_pictures_is_decided_on_whole_ones():
    runner = Sizes(doubting=True)
    report = graphopt.optimize(proto(PICTURE, W), passes=[right], runner=runner).report
    assert runner.seen == [{7}, {64}]
    assert report.hits == {"right": 1}


def test_lossy_rewrites_are_measured_on_whole_pictures():
    @rule(op.Conv(x, w), numerics=graphopt.Lossy("sqnr", 20))
    def rounded(m, new):
        weights = m[w].astype(np.float16).astype(np.float32)
        return new.FusedConv(m[x], weights, domain="com.microsoft", **m.root.attrs)

    runner = Sizes()
    report = graphopt.optimize(proto(PICTURE, W), passes=[rounded], runner=runner).report
    assert report.hits == {"rounded": 1}
    assert runner.seen == [{64}]
