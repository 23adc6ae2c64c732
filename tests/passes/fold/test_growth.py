import re

import numpy as np
import onnx
import pytest

import graphopt
from passes.fold import FOLD
from passes.fold.growth import SLACK
from tests.support import apply, fires, operators, proto, refuses


def test_an_expansion_to_32_megabytes_stays():
    text = "g (float[8388608] x) => (float[8388608] y) { e = Expand(w, to) y = Add(x, e) }"
    result = graphopt.optimize(
        proto(text, {"w": np.ones(1, np.float32), "to": np.array([1 << 23])}), passes=[FOLD], verify="structure"
    )
    assert operators(result.model) == {"Expand": 1, "Add": 1}
    assert "33,554,432 bytes" in result.report.refusals[0].reason


@pytest.mark.parametrize("call", [
    "Tile(w, to)", "ConstantOfShape(to)", "Range(zero, limit, one)", "Pad(w, pads)", "OneHot(zero1, limit, two)",
])  # fmt: skip
def test_whatever_is_larger_than_what_it_replaces_stays(call):
    text = f"g (float x) => (float y) {{ e = {call} f = Cast<to=1>(e) s = Add(f, x) y = ReduceMean<keepdims=0>(s) }}"
    weights = {
        "w": np.ones(1, np.float32), "to": np.array([1 << 20]), "zero": np.int64(0), "limit": np.int64(1 << 20),
        "one": np.int64(1), "pads": np.array([0, 1 << 20]), "zero1": np.array([0]),
        "two": np.array([0.0, 1.0], np.float32),
    }  # fmt: skip
    used = {name: value for name, value in weights.items() if name in re.findall(r"\w+", call)}
    refuses(FOLD, text, used, reason="the file would grow")


def test_what_is_large_only_on_the_way_is_evaluated():
    text = "g (float x) => (float y) { e = Expand(w, to) m = ReduceSum<keepdims=0>(e) y = Add(x, m) }"
    fires(FOLD, text, {"w": np.ones(1, np.float32), "to": np.array([1 << 20])}, leaves=["Add"])


def test_what_is_too_large_to_be_written_is_evaluated_on_the_way_to_what_is_not():
    text = """g (float[65536] x) => (float[65536] y, float[65536] z) {
        e = Expand(w, to) y = Add(x, e) m = ReduceSum<keepdims=0>(e) z = Mul(x, m)
    }"""
    fires(FOLD, text, {"w": np.ones(1, np.float32), "to": np.array([1 << 16])}, leaves=["Expand", "Add", "Mul"])


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1, 1 << 40])
@pytest.mark.parametrize("call", ["ConstantOfShape(to)", "Expand(w, to)", "Tile(w, to)"])
def test_sizes_that_no_machine_holds_are_never_allocated(call, size):
    text = f"g (float x) => (float y) {{ e = {call} m = ReduceSum<keepdims=0>(e) y = Add(x, m) }}"
    weights = {"w": np.ones(1, np.float32), "to": np.array([size])}
    used = {name: value for name, value in weights.items() if name in re.findall(r"\w+", call)}
    result = graphopt.optimize(proto(text, used), passes=[FOLD], verify="structure")
    assert len(result.model.graph.nodes) == 3
    assert not result.report.rewrites


def test_results_of_unknown_size_are_not_evaluated():
    text = """<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3]> g (float[1, 3] x) => (float[1, 3] y) {
        a = ai.onnx.ml.Scaler<offset=[1.0], scale=[2.0]>(w) y = Add(x, a)
    }"""
    refuses(FOLD, text, {"w": np.ones((1, 3), np.float32)}, reason="size of its result is not known")


def test_positions_of_nonzero_elements_are_evaluated():
    text = "g (int64[1, 2] x) => (int64[1, 2] y) { n = NonZero(w) y = Add(x, n) }"
    fires(FOLD, text, {"w": np.array([0.0, 1.0, 2.0], np.float32)}, leaves=["Add"])


def test_a_weight_that_is_used_elsewhere_is_not_stored_twice():
    text = """g (int64[2] i, float[2, 256] x) => (float[2, 256] y, float[2, 512] z) {
        y = Gather(w, i) t = Transpose<perm=[1, 0]>(w) z = MatMul(x, t)
    }"""
    refuses(FOLD, text, {"w": (512, 256)}, reason="would replace 0")


def test_a_small_weight_may_be_stored_twice():
    text = """g (int64[2] i, float[2, 4] x) => (float[2, 4] y, float[2, 8] z) {
        y = Gather(w, i) t = Transpose<perm=[1, 0]>(w) z = MatMul(x, t)
    }"""
    fires(FOLD, text, {"w": (8, 4)}, leaves=["Gather", "MatMul"])


def test_a_weight_whose_readers_all_fold_pays_for_all_of_them():
    text = """g (float[2, 256] x) => (float[2, 512] y, float[2, 512] z) {
        a = Transpose<perm=[1, 0]>(w) y = MatMul(x, a) b = Neg(a) z = MatMul(x, b)
    }"""
    refuses(FOLD, text, {"w": (512, 256)}, reason="the file would grow")
    shared = """g (float[2, 128] x) => (float[2, 512] y, float[2, 512] z) {
        p = Slice(w, zero, half, axis) a = Transpose<perm=[1, 0]>(p) y = MatMul(x, a)
        q = Slice(w, half, end, axis) b = Transpose<perm=[1, 0]>(q) z = MatMul(x, b)
    }"""
    bounds = {"zero": np.array([0]), "half": np.array([128]), "end": np.array([256]), "axis": np.array([1])}
    fires(FOLD, shared, {"w": (512, 256), **bounds}, leaves=["MatMul", "MatMul"])


def test_a_chain_that_grows_at_its_end_is_evaluated_up_to_there():
    text = """g (float[512, 512] x) => (float[512, 512] y) {
        a = Exp(w) b = Neg(a) e = Expand(b, to) y = Add(x, e)
    }"""
    result = apply(FOLD, text, {"w": (512, 1), "to": np.array([512, 512])})
    assert operators(result.model) == {"Expand": 1, "Add": 1}


@pytest.mark.parametrize(("elements", "folded"), [(SLACK // 4, True), (SLACK // 4 + 512, False)])
def test_where_the_line_is(elements, folded):
    text = f"g (float[{elements}] x) => (float[{elements}] y) {{ c = ConstantOfShape(to) y = Add(x, c) }}"
    result = apply(FOLD, text, {"to": np.array([elements])})
    assert (operators(result.model) == {"Add": 1}) == folded


def test_strings_that_double_are_not_evaluated():
    doubling = " ".join(f"s{i + 1} = StringConcat(s{i}, s{i})" for i in range(60))
    text = f"g (string[1] x) => (bool[1] y) {{ {doubling} y = Equal(x, s60) }}"
    model = proto(text)
    model.graph.initializer.append(onnx.helper.make_tensor("s0", onnx.TensorProto.STRING, [1], ["ab" * 100]))
    result = graphopt.optimize(model, passes=[FOLD], verify="structure")
    assert operators(result.model)["StringConcat"] >= 30
