from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphopt.ir import dtypes
from graphopt.numerics import metrics
from graphopt.numerics.compare import apart, compare
from graphopt.numerics.contract import Close, Exact, Lossy

FLOATS = [
    *(np.float16, np.float32, np.float64, ml_dtypes.bfloat16),
    *(ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2, ml_dtypes.float8_e5m2fnuz),
]
INTEGERS = [
    *(np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.bool_),
    *(ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2, ml_dtypes.uint2),
]
WITHOUT_NEGATIVE_ZERO = {ml_dtypes.float8_e4m3fnuz, ml_dtypes.float8_e5m2fnuz}
CONTRACTS = [Exact(), Close(0), Close(1e9), Lossy("sqnr", 0), Lossy("cosine", 0), Lossy("max_abs", 1e9)]


def one(old, new, contract, **options):
    return compare([np.asarray(old)], [np.asarray(new)], contract, **options)


def ones(dtype, *values):
    return np.array(values, np.float64).astype(dtype)


# --- one ulp, k ulps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_one_ulp_is_seen(dtype):
    old, new = ones(dtype, 1, 1), ones(dtype, 1, 1)
    new[1:] = np.array([1 + dtypes.epsilon(np.dtype(dtype))]).astype(dtype)
    assert one(old, old, Exact()).ok
    verdict = one(old, new, Exact())
    assert (verdict.ok, verdict.k, verdict.index) == (False, 1.0, (1,))
    assert one(old, new, Close(1)).ok
    assert one(old, new, Close(1)).k == 1.0
    assert not one(old, new, Close(0.999)).ok


@pytest.mark.parametrize("k", [1, 7, 64, 1000])
@pytest.mark.parametrize("scale", [2.0**-20, 1.0, 2.0**20])
def test_the_bound_is_k_eps_scale(k, scale):
    eps = np.finfo(np.float32).eps
    old = np.array([scale, -scale / 2, scale / 1024], np.float32)
    new = old.astype(np.float64)
    new[2] += k * eps * scale
    assert one(old, new.astype(np.float32), Close(k)).ok
    assert not one(old, new.astype(np.float32), Close(k * 0.999)).ok
    assert one(old, new.astype(np.float32), Close(k)).k == k


def test_the_scale_is_the_largest_finite_element_of_that_tensor():
    old, new = np.array([1e-3, 8, np.inf], np.float32), np.array([1e-3 + 8 * 2.0**-23, 8, np.inf], np.float32)
    assert one(old, new, Close(2)).ok
    small = [old[:1]], [new[:1]]
    assert not compare(*small, Close(2)).ok
    assert not compare([old[:1], old[1:]], [new[:1], new[1:]], Close(2)).ok


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_a_tensor_of_zeros_has_the_scale_of_the_smallest_normal(dtype):
    normal = float(ml_dtypes.finfo(dtype).smallest_normal)
    assert one(ones(dtype, 0), ones(dtype, normal * dtypes.epsilon(np.dtype(dtype))), Close(1)).ok
    assert not one(ones(dtype, 0), ones(dtype, normal), Close(1)).ok


def test_the_sign_of_zero_counts_only_when_exact():
    old, new = np.array([0.0, 1.0], np.float32), np.array([-0.0, 1.0], np.float32)
    assert not one(old, new, Exact()).ok
    assert one(old, new, Close(0)).ok


@given(
    hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(0, 100),
    st.randoms(use_true_random=False),
)
def test_measured_k_is_the_definition(old, k, random):
    noise = np.array([random.uniform(-k, k) for _ in old])
    scale = max(float(np.abs(old).max()), float(np.finfo(np.float32).tiny))
    new = (old + noise * np.finfo(np.float32).eps * scale).astype(np.float32)
    measured = float(np.abs(old.astype(np.float64) - new).max() / scale / np.finfo(np.float32).eps)
    verdict = one(old, new, Close(1e9))
    assert verdict.k == pytest.approx(measured)
    assert one(old, new, Close(verdict.k)).ok
    assert measured == 0 or not one(old, new, Close(verdict.k * 0.99)).ok


# --- NaN and infinity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", CONTRACTS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_a_new_nan_or_infinity_is_wrong_under_every_contract(dtype, bad, contract):
    old, new = ones(dtype, 1, 2, 3), ones(dtype, 1, bad, 3)
    verdict = one(old, new, contract)
    assert not verdict.ok
    assert verdict.k == math.inf
    assert verdict.index == (1,)


@pytest.mark.parametrize("contract", [Exact(), Close(1e9)], ids=str)
@pytest.mark.parametrize(("old", "new"), [(np.nan, 1), (np.inf, 1), (np.inf, -np.inf), (np.nan, np.inf)])
def test_nan_and_infinity_keep_their_places_and_signs(old, new, contract):
    assert not one(np.float32([old, 1]), np.float32([new, 1]), contract).ok
    assert one(np.float32([old, 1]), np.float32([old, 1]), contract).ok


def test_any_nan_equals_any_nan():
    payloads = np.array([0x7FC00000, 0xFFC00001], np.uint32).view(np.float32)
    assert one(payloads, payloads[::-1], Exact()).ok


def test_overflow_of_the_reference_may_be_passed_over():
    old, new = np.float32([np.nan, np.inf, 1]), np.float32([5, -3, 1])
    for contract in (Exact(), Close(1)):
        assert not one(old, new, contract).ok
        assert one(old, new, contract, overflow=True).ok
        assert one(old, new, contract, overflow=True).compared == 1
        assert not one(old, np.float32([5, -3, 2]), contract, overflow=True).ok
        assert not one(old, np.float32([5, -3, np.nan]), contract, overflow=True).ok


def test_only_finite_elements_count_as_compared():
    assert one(np.float32([np.nan, np.inf, 1]), np.float32([np.nan, np.inf, 1]), Exact()).compared == 1
    assert one(np.float32([np.nan]), np.float32([np.nan]), Close(1)).compared == 0
    assert one(np.int32([1, 2]), np.int32([1, 2]), Exact()).compared == 2


# --- dtypes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("contract", [Exact(), Close(1e9)], ids=str)
def test_integers_are_identical(dtype, contract):
    old, new = np.array([0, 1]).astype(dtype), np.array([1, 1]).astype(dtype)
    assert one(old, old.copy(), contract).ok
    verdict = one(old, new, contract)
    assert (verdict.ok, verdict.k, verdict.index) == (False, math.inf, (0,))


def test_large_integers_are_not_compared_as_floats():
    assert not one(np.array([2**62]), np.array([2**62 + 1]), Close(1e9)).ok


@pytest.mark.parametrize("contract", [Exact(), Close(1e9)], ids=str)
def test_strings_are_identical(contract):
    old, new = np.array(["a", "b"], object), np.array(["a", "c"], object)
    assert one(old, old.copy(), contract).ok
    assert one(old, new, contract).index == (1,)


def test_complex_numbers_are_pairs():
    old = np.array([[1 + 1j, 2]], np.complex64)
    new = old.copy()
    new[0, 1] += 2 * np.finfo(np.float32).eps * 1j
    verdict = one(old, new, Exact())
    assert (verdict.ok, verdict.k, verdict.index) == (False, 1.0, (0, 1))
    assert one(old, new, Close(1)).ok
    assert not one(old, new, Close(0.5)).ok


@pytest.mark.parametrize("dtype", [d for d in FLOATS if d not in WITHOUT_NEGATIVE_ZERO] + INTEGERS)
def test_every_dtype_equals_itself(dtype):
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    for contract in CONTRACTS:
        verdict = one(values, values.copy(), contract)
        assert (verdict.ok, verdict.k, verdict.compared) == (True, 0.0, 4)


# --- structure --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ([np.zeros(2, "f4")], [], "The number of outputs went from 1 to 0."),
        ([np.zeros(2, "f4")], [np.zeros(2, "f8")], "output 0: dtype float32 became float64."),
        ([np.zeros(2, "f4")], [np.zeros((2, 1), "f4")], "output 0: shape [2] became [2, 1]."),
        ([np.zeros(0, "f4")], [np.zeros((0, 1), "f4")], "output 0: shape [0] became [0, 1]."),
        ([[np.zeros(2)]], [[np.zeros(2)] * 2], "output 0: a sequence of 1 became a sequence of 2."),
        ([[np.zeros(2), np.zeros(1)]], [[np.zeros(2), np.ones(1)]], "output 0, element 1 at [0]: 0 became 1."),
        ([None], [np.zeros(2)], "output 0: nothing became a tensor."),
        ([{"a": 1}], [{"b": 1}], "output 0: a map with 1 keys became a map with 1 keys."),
        ([{"a": 1}], [{"a": 2}], "output 0 at [0]: 1 became 2."),
        ([np.zeros(1)], [[np.zeros(1)]], "output 0: a tensor became a sequence of 1."),
    ],
)
@pytest.mark.parametrize("contract", CONTRACTS[:3], ids=str)
def test_differences_of_structure_have_a_sentence(old, new, reason, contract):
    verdict = compare(old, new, contract)
    assert not verdict.ok
    assert verdict.k == math.inf
    if contract == Exact():
        assert verdict.reason == reason


@pytest.mark.parametrize(
    "value", [None, [], {}, [np.zeros(2)], {"a": 0.5}, [{1: 2.0}], np.zeros((0, 3)), np.float32(3)]
)
def test_equal_structures_are_equal(value):
    assert compare([value], [value], Exact()).ok


def test_map_values_are_float32_where_they_came_from_float32():
    old, new = {"a": float(np.float32(0.1))}, {"a": float(np.nextafter(np.float32(0.1), np.float32(1)))}
    assert compare([old], [new], Close(1)).ok
    assert not compare([{"a": 0.1}], [{"a": 0.1 + 1e-9}], Close(1)).ok


def test_no_outputs_are_ok_but_no_evidence():
    verdict = compare([], [], Exact())
    assert verdict.ok
    assert verdict.compared == 0


def test_the_worst_output_is_reported_by_name():
    eps = float(np.finfo(np.float32).eps)
    old = [np.float32([1])] * 3
    new = [np.float32([1 + eps]), np.float32([1 + 4 * eps]), np.float32([1])]
    verdict = compare(old, new, Close(2), names=["a", "b", "c"])
    assert (verdict.ok, verdict.output, verdict.error, verdict.bound, verdict.compared) == (False, "b", 4, 2, 3)
    assert verdict.reason.startswith("b at [0]: 1 became 1.00000")
    assert verdict.reason.endswith("That is 4 rounding errors; close(2) was promised.")
    assert compare(old, new, Close(9), names=["a", "b", "c"]).output == "b"


def test_a_difference_beyond_the_first_chunk_is_found():
    old = np.zeros((3, metrics.CHUNK), np.float32)
    new = old.copy()
    new[2, 5] = np.nan
    assert one(old, new, Close(1)).index == (2, 5)
    new[2, 5] = 1
    assert one(old, new, Exact()).index == (2, 5)
    assert one(old, new, Close(1)).index == (2, 5)


def test_views_of_any_layout_are_compared():
    old = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert one(old.T, np.ascontiguousarray(old.T), Exact()).ok
    assert one(old[:, ::2], old[:, ::2].copy(), Exact()).ok


# --- metrics ----------------------------------------------------------------------------------------------------


def test_sqnr_is_signal_over_noise():
    rng = np.random.default_rng(0)
    old = rng.standard_normal(10000).astype(np.float32)
    new = old + np.float32(0.01) * rng.standard_normal(10000).astype(np.float32)
    value = one(old, new, Lossy("sqnr", 0)).error
    assert value == pytest.approx(40, abs=0.5)
    assert one(old, new, Lossy("sqnr", value)).ok
    verdict = one(old, new, Lossy("sqnr", value + 0.01))
    assert not verdict.ok
    assert "sqnr is 40" in verdict.reason


def test_cosine_forgets_the_scale():
    old = np.float32([1, 2, 3])
    assert one(old, old * 2, Lossy("cosine", 0.9999)).ok
    assert not one(old, -old, Lossy("cosine", 0)).ok


def test_top1_counts_rows():
    old = np.float32([[1, 2], [3, 1], [0, 1], [5, 4]])
    new = np.float32([[1, 2], [3, 1], [0, 1], [4, 5]])
    assert one(old, new, Lossy("top1", 0.75)).ok
    assert not one(old, new, Lossy("top1", 0.76)).ok


def test_top1_of_labels_counts_equal_ones():
    assert one(np.array(["a", "b"], object), np.array(["a", "c"], object), Lossy("top1", 0.5)).ok
    assert not one(np.array([1, 2, 3]), np.array([1, 2, 4]), Lossy("top1", 0.7)).ok


def test_max_abs_is_a_ceiling():
    old, new = np.float32([1, 2]), np.float32([1.5, 2])
    assert one(old, new, Lossy("max_abs", 0.5)).ok
    assert not one(old, new, Lossy("max_abs", 0.49)).ok


@pytest.mark.parametrize("metric", ["sqnr", "cosine"])
def test_noise_without_signal_is_the_worst(metric):
    assert not one(np.float32([0, 0]), np.float32([0, 1]), Lossy(metric, 0.1)).ok


@pytest.mark.parametrize("metric", ["sqnr", "cosine", "max_abs"])
def test_text_has_no_metric_but_agreement(metric):
    assert not one(np.array(["a"], object), np.array(["b"], object), Lossy(metric, 0)).ok


def test_metrics_pass_over_places_where_the_reference_overflowed():
    assert one(np.float32([np.inf, 1]), np.float32([3, 1]), Lossy("sqnr", 100)).ok


def test_of_lossy_outputs_the_worst_is_reported():
    old = [np.float32([4, 4])] * 2
    new = [np.float32([4, 4.5]), np.float32([4, 5])]
    assert compare(old, new, Lossy("sqnr", 0)).output == "output 1"
    assert compare(old, new, Lossy("max_abs", 9)).output == "output 1"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (np.float32(7.297366142272949), np.float32(7.297453880310059), ("7.29737", "7.29745")),
        (np.float64(1), np.nextafter(1, 2), ("1.0", "1.0000000000000002")),
        (np.float32(0.0), np.float32(-0.0), ("0", "-0")),
        (np.float16(np.nan), np.float16(3), ("nan", "3")),
        (np.int64(2**53), np.int64(2**53 + 1), ("9007199254740992", "9007199254740993")),
        ("a", "b", ("a", "b")),
    ],
)
def test_numbers_are_told_with_as_few_digits_as_tell_them_apart(old, new, words):
    assert apart(old, new) == words
