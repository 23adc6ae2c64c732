from __future__ import annotations

import pytest

from passes.fuse.norm import reduce_l2, reduce_sum_square
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

SQUARES = ["q = Mul(x, x) y = ReduceSum(q, {-1})", "q = Pow(x, 2.0) y = ReduceSum(q, {-1})"]
NORM = ["q = Mul(x, x) s = ReduceSum(q, {-1}) y = Sqrt(s)", "q = Pow(x, 2.0) s = ReduceSum(q, {-1}) y = Pow(s, 0.5)"]
COLUMN = "[n, 3, 1]"


@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
@pytest.mark.parametrize("opset", [13, 21])
def test_fire_on_every_spelling(dtype, opset):
    x, y = f"{dtype}[n, 3, 8]", dtype + COLUMN
    fires(reduce_sum_square, spelled(*SQUARES, x=x, y=y, opset=opset), leaves={"ReduceSumSquare": 2})
    fires(reduce_l2, spelled(*NORM, x=x, y=y, opset=opset), leaves={"ReduceL2": 2})


def test_fire_on_axes_as_attribute_and_dropped_dimensions():
    body = "q = Mul(x, x) s = ReduceSum<axes=[1, 2], keepdims=0>(q) y = Sqrt(s)"
    fires(reduce_l2, spelled(body, y="float[n]", opset=11), leaves=["ReduceL2"])
    everything = spelled("q = Mul(x, x) s = ReduceSum(q) y = Sqrt(s)", x="float[3, 8]", y="float[1, 1]")
    fires(reduce_l2, everything, leaves=["ReduceL2"])


def test_norm_fires_on_sum_square():
    body = "s = ReduceSumSquare<axes=[1]>(x) y = Sqrt(s)"
    fires(reduce_l2, spelled(body, y="float[n, 1, 8]", opset=17), leaves=["ReduceL2"])


def test_refuse_numbers_that_give_the_result_more_dimensions():
    reason = "more dimensions"
    square = "q = Pow(x, 2.0) y = ReduceSum<keepdims=0>(q, {0 1})"
    refuses(reduce_sum_square, spelled(square, x="float[3, 8]", y="float[8]", rank=3), reason=reason)
    refuses(reduce_sum_square, spelled(SQUARES[1], y="float[1, n, 3, 1]", rank=4), reason=reason)
    root = "s = ReduceSumSquare<keepdims=0>(x, {0 1}) y = Pow(s, 0.5)"
    refuses(reduce_l2, spelled(root, x="float[3, 8]", y="float[1]", rank=1), reason=reason)
    fires(reduce_l2, spelled(root, x="float[3, 8]", y="float"), leaves=["ReduceL2"])


def test_refuse_many_squares():
    for x in ("float[n, 3, 5000]", "float[n, 3, k]"):
        refuses(reduce_l2, spelled(NORM[0], x=x, y="float[n, 3, 1]"), reason="more than 4096 squares")
    refuses(reduce_l2, spelled(NORM[0], x="float", y="float[n, 3, 1]"), reason="unknown many")


def test_refuse():
    text = spelled("q = Mul(x, x) y = ReduceSum(q, axes)", more="int64[1] axes", y="float[n, 3, 1]")
    refuses(reduce_sum_square, text, reason="are unknown")
    refuses(
        reduce_sum_square, spelled("q = Mul(x, x) y = ReduceSum<noop_with_empty_axes=1>(q)"), reason="reduces nothing"
    )
    refuses(
        reduce_sum_square, spelled("q = Mul(x, z) y = ReduceSum(q, {-1})", more="float[n, 3, 8] z", y="float[n, 3, 1]")
    )
    refuses(reduce_sum_square, spelled(SQUARES[0], y="float[n, 3, 1]").replace("1] y)", "1] y, float[n, 3, 8] q)"))
    refuses(reduce_sum_square, spelled(SQUARES[0], x="int64[8]", y="int64[1]"), reason="not floating")
    refuses(reduce_l2, spelled(NORM[0].replace("Sqrt", "Exp"), y="float[n, 3, 1]"))
