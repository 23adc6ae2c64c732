from __future__ import annotations

import copy
import time

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from graphopt.ir import dtypes
from graphopt.numerics.compare import Comparison, compare
from graphopt.numerics.contract import Close, Exact
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.feeds import FeedPlan, InputSpec, Real
from graphopt.numerics.process import limit_after
from graphopt.numerics.run import InProcess, PairResult, check_pair, run
from graphopt.numerics.values import _packed, _unpacked
from tests.numerics.models import ENDLESS, RELU, model

F4 = np.dtype(np.float32)
ENDLESS_FEEDS = {"n": np.array(10**12), "x": np.zeros((), np.float32)}
PLAN = FeedPlan((InputSpec("x", F4, (4,)),), 0)


def typed(op, dtype, shape=(5,), opset=25, **attributes):
    """A model of one operator from x to y, both of `dtype`."""
    code = dtypes.elem_type(np.dtype(dtype))
    values = [helper.make_tensor_value_info(name, code, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attributes)], "g", values[:1], values[1:])
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=11).SerializeToString()


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    [
        *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.bool_),
        *(np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64),
        *(ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz),
    ],
)
@pytest.mark.parametrize("shape", [(), (5,), (0,), (2, 3)])
def test_every_dtype_goes_in_and_comes_out(dtype, shape):
    array = np.resize(np.array([0, 1, 1, 0, 1, 1]), shape).astype(dtype)
    found = run(typed("Identity", dtype, shape, opset=24), {"x": array})[0]
    assert (found.dtype, found.shape) == (array.dtype, shape)
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2])
@pytest.mark.parametrize("shape", [(1,), (5,), (3, 3), (0,)])
def test_types_below_a_byte_go_in_and_come_out(dtype, shape):
    info = ml_dtypes.iinfo(dtype)
    values = np.resize(np.arange(int(info.min), int(info.max) + 1), shape)
    found = run(typed("Transpose", dtype, shape, perm=range(len(shape))), {"x": values.astype(dtype)})[0]
    assert found.dtype == dtype
    assert (found.astype(int) == values).all()


@pytest.mark.parametrize("dtype", [ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2])
def test_packing_is_what_onnx_stores(dtype):
    info = ml_dtypes.iinfo(dtype)
    values = np.resize(np.arange(int(info.min), int(info.max) + 1), 13).astype(dtype)
    raw = onnx.numpy_helper.from_array(values).raw_data
    packed = _packed(values)
    assert packed.shape == values.shape
    assert packed.tobytes()[: len(raw)] == raw
    assert (_unpacked(np.frombuffer(raw, np.uint8), np.dtype(dtype), (13,)) == values).all()


def test_text_goes_in_and_comes_out():
    text = np.array([["a", "ä"], ["", "long " * 100]], object)
    assert run(typed("Identity", object, (2, 2), opset=16), {"x": text})[0].tolist() == text.tolist()


def test_text_and_numbers_mix():
    message = model(
        "agraph (string[2] s, bfloat16[2] x) => (string[2] t, float[2] y) { t = Identity(s) y = Cast <to = 1> (x) }"
    )
    text, numbers = np.array(["a", "b"], object), np.array([1, 2], ml_dtypes.bfloat16)
    t, y = run(message, {"s": text, "x": numbers})
    assert (t.tolist(), y.tolist()) == (["a", "b"], [1, 2])


def test_sequences_go_in_and_come_out():
    message = model("agraph (seq(float[N]) s, float[2] x) => (seq(float[N]) t) { t = SequenceInsert(s, x) }")
    first, second = np.float32([1]), np.float32([2, 3])
    found = run(message, {"s": [first], "x": second})
    assert compare([[first, second]], found, Exact()).ok


def test_optionals_go_in_and_come_out():
    message = model(
        "agraph (optional(float[2]) x) => (optional(float[2]) y, bool e) { y = Identity(x) e = OptionalHasElement(x) }"
    )
    absent = run(message, {"x": None})
    assert (absent[0], bool(absent[1])) == (None, False)
    present = run(message, {"x": np.float32([1, 2])})
    assert (present[0].tolist(), bool(present[1])) == ([1, 2], True)


def test_maps_come_out():
    message = model(
        "agraph (float[2,2] x) => (seq(map(int64, float[1])) y) "
        "{ y = ai.onnx.ml.ZipMap <classlabels_int64s = [7, 9]> (x) }"
    )
    message = onnx.ModelProto.FromString(message)
    value = message.graph.output[0].type.sequence_type.elem_type.map_type.value_type.tensor_type
    value.ClearField("shape")
    found = run(message.SerializeToString(), {"x": np.float32([[1, 2], [3, 4]])})
    assert found == [[{7: 1.0, 9: 2.0}, {7: 3.0, 9: 4.0}]]


def test_inputs_of_any_layout_are_read_right():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    message = typed("Identity", np.float32, None)
    for view in (array.T, array[::2], array[:, ::-1], np.broadcast_to(array[0], (2, 4)), np.float32(3)):
        assert (run(message, {"x": view})[0] == view).all()


def test_outputs_outlive_their_session():
    found = [run(typed("Neg", np.float32, None), {"x": np.full(1000, i, np.float32)})[0] for i in range(50)]
    assert [set(array.tolist()) for array in found] == [{-float(i)} for i in range(50)]


def test_outputs_are_those_that_were_asked_for():
    message = model("agraph (float[2] x) => (float[2] a, float[2] b) { a = Neg(x) b = Relu(x) }")
    feeds = {"x": np.float32([1, -1])}
    assert [array.tolist() for array in run(message, feeds)] == [[-1, 1], [1, 0]]
    assert [array.tolist() for array in run(message, feeds, outputs=["b", "a"])] == [[1, 0], [-1, 1]]


def test_overridable_initializers_may_be_fed_and_strangers_are_left_out():
    message = model("agraph (float[2] x, float[2] w = {1, 2}) => (float[2] y) { y = Add(x, w) }")
    x = np.float32([0, 0])
    assert run(message, {"x": x})[0].tolist() == [1, 2]
    assert run(message, {"x": x, "w": np.float32([5, 5]), "z": x})[0].tolist() == [5, 5]


def test_a_plan_is_drawn():
    assert (run(model(RELU), PLAN)[0] == np.maximum(PLAN.draw()["x"], 0)).all()


# --- the reference is the model as it stands --------------------------------------------------------------------


def test_nothing_is_optimised():
    """A Conv and the BatchNormalization after it stay apart, so folding one into the other can be seen."""
    message = model(
        "agraph (float[1,1,8,8] x, float[4,1,3,3] w, float[4] s, float[4] m) => (float[1,4,6,6] y, float[1,4,6,6] c) "
        "{ c = Conv(x, w) y = BatchNormalization <epsilon = 0.0> (c, s, s, m, s) }"
    )
    rng = np.random.default_rng(0)
    feeds = {
        k: rng.uniform(0.5, 2, s).astype(F4) for k, s in (("x", (1, 1, 8, 8)), ("w", (4, 1, 3, 3)), ("s", 4), ("m", 4))
    }
    y, c = run(message, feeds)
    scale = (feeds["s"] / np.sqrt(feeds["s"]))[:, None, None]
    apart = scale * c + (feeds["s"] - feeds["m"] * scale[:, 0, 0])[:, None, None]
    assert compare([apart.astype(F4)], [y], Close(4)).ok


def test_runs_are_repeatable_bit_by_bit():
    message = model("agraph (float[64,512] x) => (float[64,64] y) { t = Transpose(x) y = MatMul(x, t) }")
    plan = FeedPlan((InputSpec("x", F4, (64, 512)),), 3)
    first = run(message, plan)[0].tobytes()
    assert all(run(message, plan)[0].tobytes() == first for _ in range(5))


# --- where models lie -------------------------------------------------------------------------------------------


@pytest.fixture
def external(tmp_path):
    """A model whose initializer lies in a file beside it, and its folder."""
    np.float32([1, 2]).tofile(tmp_path / "w.bin")
    message = onnx.ModelProto.FromString(model("agraph (float[2] x) => (float[2] y) { y = Add(x, w) }"))
    tensor = message.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    (tmp_path / "model.onnx").write_bytes(message.SerializeToString())
    return tmp_path


def test_a_path_is_a_model(external):
    x = np.float32([0, 0])
    assert run(external / "model.onnx", {"x": x})[0].tolist() == [1, 2]
    assert run(str(external / "model.onnx"), {"x": x})[0].tolist() == [1, 2]


def test_bytes_find_their_weights_in_the_folder(external):
    message, x = (external / "model.onnx").read_bytes(), np.float32([0, 0])
    assert run(message, {"x": x}, folder=str(external))[0].tolist() == [1, 2]
    with pytest.raises(RunFailure, match=r"External data path validation failed for initializer: w"):
        run(message, {"x": x})


# --- failures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "feeds", "kind", "reason"),
    [
        (b"no model", {}, "invalid", "rotobuf"),
        (b"", {}, "failed", ""),
        ("/nowhere/model.onnx", {}, "invalid", "/nowhere/model.onnx"),
        (model("agraph (float[2] x) => (float[2] y) { y = Reluu(x) }"), {"x": np.float32([1, 2])}, "invalid", "Reluu"),
        (model("agraph (float[2] x) => (float[2] y) { y = Relu(z) }"), {"x": np.float32([1, 2])}, "failed", "z"),
        (typed("Identity", ml_dtypes.int4), {}, "unsupported", "Identity"),
        (model(RELU), {}, "failed", "x"),
        (model(RELU), {"x": np.float64([1, 2])}, "failed", "double"),
        (model(RELU), {"x": np.zeros((2, 2), F4)}, "failed", "rank"),
        (model("agraph (float[3] x, int64[1] i) => (y) { y = Gather(x, i) }"),
         {"x": np.zeros(3, F4), "i": np.array([3])}, "failed", "out of data bounds"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_a_failure_with_the_runtimes_words(message, feeds, kind, reason):
    with pytest.raises(RunFailure) as caught:
        run(message, feeds)
    assert caught.value.kind == kind
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
    assert "onnxruntime_src" not in caught.value.reason


def test_of_nested_nodes_the_one_that_failed_is_named():
    inner = "then_branch = g1 () => (a) { a = MatMul(x, x) }, else_branch = g2 () => (b) { b = Neg(x) }"
    message = model(f"agraph (float[n, m] x, bool c) => (float[p, q] y) {{ y = If(c) <{inner}> }}")
    with pytest.raises(RunFailure) as caught:
        run(message, {"x": np.zeros((2, 3), F4), "c": np.array(True)})
    assert caught.value.reason.startswith("MatMul '': ")


def test_a_failure_can_be_sent():
    failure = copy.copy(RunFailure("timeout", "No result."))
    assert (failure.kind, failure.reason, str(failure)) == ("timeout", "No result.", "timeout: No result.")


def test_an_endless_run_is_stopped():
    start = time.monotonic()
    with pytest.raises(RunFailure, match=r"No result after 0\.3 seconds") as caught:
        run(model(ENDLESS), ENDLESS_FEEDS, limit_s=0.3)
    assert caught.value.kind == "timeout"
    assert 0.3 <= time.monotonic() - start < 15


def test_a_limit_that_is_kept_does_nothing():
    for _ in range(20):
        assert run(model(RELU), {"x": np.float32([-1, 1])}, limit_s=30)[0].tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(2**40,), (2**62,), (2**31, 2**31, 2**31)])
def test_inputs_that_no_memory_holds_are_a_failure(shape):
    with pytest.raises(RunFailure) as caught:
        run(model(RELU), FeedPlan((InputSpec("x", F4, shape, Real()),), 0))
    assert caught.value.kind == "memory"


# --- pairs ------------------------------------------------------------------------------------------------------

NEG = "agraph (float[n] x) => (float[n] y) { y = Neg(x) }"
POSITIVE = "agraph (float[n] x) => (float[n] y) { zero = Constant <value = float {0}> () y = Max(x, zero) }"
DOUBLED = "agraph (float[n] x) => (float[n] y) { two = Constant <value = float {2}> () z = Relu(x) y = Mul(z, two) }"
TWO_OUTPUTS = "agraph (float[n] x) => (float[n] y, float[n] z) { y = Relu(x) z = Neg(x) }"
RENAMED = "agraph (float[n] x) => (float[n] z) { z = Relu(x) }"
LOG = "agraph (float[n] x) => (float[n] y) { y = Log(x) }"


@pytest.mark.parametrize(
    ("before", "after", "verdict", "reason"),
    [
        (RELU, RELU, "ok", ""),
        (RELU, POSITIVE, "ok", ""),
        (RELU, DOUBLED, "wrong", "close(8) was promised"),
        (RELU, RENAMED, "wrong", "The model after could not be run"),
        (RELU, "agraph (float[n] x) => (float[n] y) { y = Reluu(x) }", "wrong", "The model after could not be run"),
        (
            "agraph (float[n] x) => (float[n] y) { y = Reluu(x) }",
            RELU,
            "unverified",
            "The model before could not be run",
        ),
        (TWO_OUTPUTS, RELU, "wrong", "The model after could not be run"),
    ],
)
def test_the_verdict_on_a_pair(before, after, verdict, reason):
    result = check_pair(model(before), model(after), [PLAN, {"x": np.float32([1, -1, 0])}], Close(8))
    assert result.verdict == verdict
    assert reason in result.reason
    assert (result.reason == "") == (verdict == "ok")


def test_every_feed_is_compared_and_the_worst_is_told():
    feeds = [{"x": np.float32([-1])}, {"x": np.float32([1])}, {"x": np.float32([0])}]
    result = check_pair(model(RELU), model(DOUBLED), feeds, Close(8))
    assert [comparison.ok for comparison in result.comparisons] == [True, False, True]
    assert result.worst == result.comparisons[1]
    assert result.worst.output == "y"


def test_a_feed_that_does_not_run_leaves_the_pair_unverified():
    feeds = [{"x": np.float32([1])}, {"x": np.float32([[1]])}]
    result = check_pair(model(RELU), model(POSITIVE), feeds, Exact())
    assert (result.verdict, result.side) == ("unverified", "before")


def test_nothing_finite_is_no_evidence():
    result = check_pair(model(LOG), model(LOG), [{"x": np.float32([-1, -2])}], Exact())
    assert all(comparison.ok for comparison in result.comparisons)
    assert result.verdict == "unverified"
    assert check_pair(model(LOG), model(LOG), [], Exact()).verdict == "unverified"


def test_overflow_is_passed_over_only_where_the_plan_says_so():
    exp = "agraph (float[n] x) => (float[n] y) { e = Exp(x) y = Log(e) }"
    same = "agraph (float[n] x) => (float[n] y) { y = Identity(x) }"
    plans = [FeedPlan((InputSpec("x", F4, (400,)),), 1, "edge", overflow=overflow) for overflow in (False, True)]
    contract = Close(1e4)
    assert check_pair(model(exp), model(same), plans[:1], contract).verdict == "wrong"
    assert check_pair(model(exp), model(same), plans[1:], contract).verdict == "ok"


def test_a_hang_of_the_model_after_is_wrong_and_of_the_model_before_unverified():
    quick, slow = model("agraph (int64 n, float x) => (float y) { y = Neg(x) }"), model(ENDLESS)
    assert check_pair(quick, slow, [ENDLESS_FEEDS], Exact(), limit_s=0.3).verdict == "wrong"
    result = check_pair(slow, quick, [ENDLESS_FEEDS], Exact(), limit_s=0.3)
    assert (result.verdict, result.failure.kind) == ("unverified", "timeout")


@pytest.mark.parametrize(("limit", "spent", "expected"), [(None, 5, None), (60, 1, 60), (1, 2, 20)])
def test_the_second_model_has_ten_times_the_time_of_the_first(limit, spent, expected):
    assert limit_after(limit, spent) == expected


def test_on_after_tells_when_the_first_model_is_through():
    calls = []
    check_pair(model(RELU), model(RELU), [PLAN], Exact(), on_after=lambda: calls.append(1))
    assert calls == [1]
    check_pair(b"", model(RELU), [PLAN], Exact(), on_after=lambda: calls.append(2))
    assert calls == [1]


def test_a_comparison_that_failed_outweighs_a_later_failure():
    wrong = Comparison(ok=False, error=1, bound=0, k=1, reason="It differs.")
    assert PairResult((wrong,), RunFailure("crash", "It died."), "after").reason == "It differs."


def test_in_process_is_a_runner():
    runner = InProcess()
    runner.start()
    assert runner.run(model(RELU), {"x": np.float32([-1, 1])})[0].tolist() == [0, 1]
    assert runner.check_pair(model(RELU), model(RELU), [PLAN], Exact()).verdict == "ok"
    runner.close()
