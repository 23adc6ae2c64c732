from __future__ import annotations

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphopt.ir import dtypes
from graphopt.numerics.feeds import (
    KINDS,
    PERIOD,
    Between,
    Choice,
    FeedPlan,
    Fixed,
    Index,
    InputSpec,
    NonZero,
    Positive,
    Real,
    feeds,
)
from graphopt.numerics.metrics import is_float

DTYPES = sorted(dtypes._TABLE.values(), key=lambda dtype: dtype.name)
NUMBERS = [dtype for dtype in DTYPES if dtype.kind not in "Ob"]
SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple)
SEEDS = st.integers(0, 2**63)
F4 = np.dtype(np.float32)


def draw(dtype, shape, domain, seed=0, kind="normal", name="x"):
    return feeds([InputSpec(name, np.dtype(dtype), shape, domain)], seed, kind)[name]


def wide(array):
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


@given(st.sampled_from(DTYPES), SHAPES, SEEDS, st.sampled_from(KINDS))
def test_dtype_and_shape_are_as_asked(dtype, shape, seed, kind):
    array = draw(dtype, shape, Real(), seed, kind)
    assert isinstance(array, np.ndarray)
    assert (array.dtype, array.shape) == (dtype, shape)


@given(st.sampled_from([d for d in NUMBERS if is_float(d)]), SHAPES, SEEDS, st.sampled_from(["normal", "edge"]))
def test_only_nonfinite_feeds_hold_nan_and_infinity(dtype, shape, seed, kind):
    assert np.isfinite(wide(draw(dtype, shape, Real(), seed, kind))).all()


@given(st.sampled_from([d for d in NUMBERS if d.kind != "c"]), SEEDS, st.sampled_from(["normal", "edge"]))
def test_positive_and_nonzero_stay_away_from_zero(dtype, seed, kind):
    assert (wide(draw(dtype, (40,), Positive(), seed, kind)) > 0).all()
    assert (wide(draw(dtype, (40,), NonZero(), seed, kind)) != 0).all()


@given(st.integers(1, 50), SEEDS, st.sampled_from(KINDS), st.booleans())
def test_an_index_addresses_what_is_there(upper, seed, kind, signed):
    array = draw(np.int64, (50,), Index(upper, signed=signed), seed, kind)
    assert array.max() < upper
    assert array.min() >= (-upper if signed and kind != "normal" else 0)


def test_signed_indices_count_from_the_end_in_edge_feeds():
    assert (draw(np.int64, (100,), Index(5, signed=True), kind="edge") < 0).any()
    assert (draw(np.int64, (100,), Index(5, signed=True)) >= 0).all()


@given(st.sampled_from([np.int32, np.int64, np.float32]), st.integers(-5, 5), st.integers(0, 5), SEEDS)
def test_between_includes_both_ends_and_nothing_else(dtype, low, width, seed):
    array = draw(dtype, (20,), Between(low, low + width), seed)
    assert (array >= low).all()
    assert (array <= low + width).all()


def test_between_reaches_both_ends_of_integers():
    assert set(draw(np.int64, (100,), Between(1, 3)).tolist()) == {1, 2, 3}


@pytest.mark.parametrize(
    ("dtype", "values"), [(np.int64, (3, 7)), (np.float32, (0.5,)), (object, ("x", "y")), (bool, (True,))]
)
def test_choice_and_fixed_hold_given_values(dtype, values):
    assert set(draw(dtype, (50,), Choice(values)).tolist()) == set(values)
    assert draw(dtype, (4,), Fixed(values)).tolist() == list((values * 4)[:4])
    assert draw(dtype, (), Fixed(values)).tolist() == values[0]


def test_edge_feeds_hold_what_breaks_rewrites():
    found = draw(np.float32, (1000,), Real(), kind="edge")
    assert {0.0, 1.0, -1.0, 1e4, -1e4} <= set(found.tolist())
    assert (np.signbit(found) & (found == 0)).any()
    assert ((found != 0) & (np.abs(found) < np.finfo(np.float32).tiny)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_large_arrays_recur_but_not_in_step_with_their_axes(kind):
    found = draw(np.float32, (8, 64, 1024), Real(), kind=kind)
    assert found.reshape(-1)[:9].tobytes() == found.reshape(-1)[PERIOD : PERIOD + 9].tobytes()
    for axis in range(3):
        slices = [piece.tobytes() for piece in np.moveaxis(found, axis, 0)]
        assert len(set(slices)) == len(slices)


@pytest.mark.parametrize("kind", KINDS)
def test_large_arrays_of_other_names_or_seeds_are_others(kind):
    specs = [InputSpec(name, np.dtype(np.float32), (2 * PERIOD,), Real()) for name in "abcdefgh"]
    arrays = [array for seed in range(3) for array in feeds(specs, seed, kind).values()]
    assert len({array.tobytes() for array in arrays}) == len(arrays)


@pytest.mark.parametrize("shape", [(1000,), (PERIOD,), (40, PERIOD)])
def test_few_numbers_are_denormal(shape):
    found = draw(np.float32, shape, Real(), kind="edge")
    denormal = (found != 0) & (np.abs(found) < np.finfo(np.float32).tiny)
    assert 0 < denormal.sum() <= 64 + 2 * (found.size // PERIOD)


def test_large_values_fit_half_precision():
    found = draw(np.float16, (1000,), Real(), kind="edge")
    assert np.isfinite(found).all()
    assert np.abs(found.astype(np.float32)).max() > 9000


def test_nonfinite_feeds_hold_nan_and_both_infinities():
    found = draw(np.float32, (1000,), Real(), kind="nonfinite")
    assert np.isnan(found).any()
    assert np.isposinf(found).any()
    assert np.isneginf(found).any()
    assert np.isfinite(found).mean() > 0.8


def test_small_integers_cover_their_range():
    assert set(draw(np.int8, (5000,), Real()).tolist()) == set(range(-128, 128))
    assert set(draw(np.uint8, (5000,), Real()).tolist()) == set(range(256))
    assert np.abs(draw(np.int64, (5000,), Real())).max() <= 128


def test_tensors_have_different_scales():
    deviations = [draw(np.float32, (1000,), Real(), name=f"x{i}").std() for i in range(20)]
    assert max(deviations) / min(deviations) > 8


def test_a_feed_depends_on_its_own_input_alone():
    a, b = InputSpec("a", F4, (5,)), InputSpec("b", F4, (5,))
    both, swapped = feeds([a, b], 3), feeds([b, a], 3)
    assert list(swapped) == ["b", "a"]
    for name in "ab":
        assert (both[name] == swapped[name]).all()
    assert (both["a"] != both["b"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_seed_and_kind_decide(kind):
    plan = FeedPlan((InputSpec("x", F4, (100,)),), 5, kind)
    assert plan.draw()["x"].tobytes() == plan.draw()["x"].tobytes()
    assert plan.draw()["x"].tobytes() == copy.deepcopy(plan).draw()["x"].tobytes()
    others = [FeedPlan(plan.inputs, 6, kind), *(FeedPlan(plan.inputs, 5, other) for other in KINDS if other != kind)]
    assert plan.draw()["x"].tobytes() not in [other.draw()["x"].tobytes() for other in others]


def test_feeds_do_not_depend_on_the_hash_seed():
    program = (
        "import numpy as np, hashlib; from graphopt.numerics.feeds import *\n"
        "specs = [InputSpec(n, np.dtype(t), (9,)) for n, t in (('a', 'f4'), ('b', 'i8'), ('é', 'O'))]\n"
        "print([repr(v.tolist()) for k in KINDS for v in feeds(specs, 1, k).values()])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8"},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    assert outputs != {b""}
