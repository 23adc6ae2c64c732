from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphopt.errors import UsageError
from graphopt.numerics.contract import METRICS, Close, Exact, Lossy, combine, parse_contract

NUMBERS = st.floats(0, 1e12, allow_subnormal=False)
CONTRACTS = st.one_of(
    st.just(Exact()),
    NUMBERS.map(Close),
    st.builds(Lossy, st.sampled_from(sorted(METRICS)), st.floats(-1e6, 1e6, allow_subnormal=False)),
)


@pytest.mark.parametrize(
    ("contract", "text"),
    [
        (Exact(), "exact"),
        (Close(64), "close(64)"),
        (Close(0.5), "close(0.5)"),
        (Lossy("sqnr", 30), "lossy(sqnr >= 30)"),
        (Lossy("max_abs", 0.1), "lossy(max_abs <= 0.1)"),
    ],
)
def test_prints_as_it_is_written(contract, text):
    assert str(contract) == text
    assert parse_contract(text) == contract


@given(CONTRACTS)
def test_text_round_trips(contract):
    assert parse_contract(str(contract)) == contract


@pytest.mark.parametrize("text", [" exact ", "close( 64 )", "lossy(sqnr>=30)", "lossy( sqnr  >=  30 )"])
def test_blanks_do_not_matter(text):
    assert str(parse_contract(text)) == str(parse_contract(text.replace(" ", "")))


@pytest.mark.parametrize(
    "text",
    [
        *("", "Exact", "close", "close()", "close(x)", "close(-1)", "close(inf)", "close(nan)", "close(1) close(2)"),
        *("lossy(sqnr)", "lossy(sqnr <= 30)", "lossy(max_abs >= 1)", "lossy(speed >= 1)", "lossy(sqnr >= nan)"),
        "lossy(sqnr >= one)",
    ],
)
def test_anything_else_is_a_usage_error(text):
    with pytest.raises(UsageError):
        parse_contract(text)


@pytest.mark.parametrize("k", [-1, math.nan, math.inf])
def test_k_is_a_finite_number(k):
    with pytest.raises(UsageError, match="k must be"):
        Close(k)


def test_nothing_and_exact_steps_are_exact():
    assert combine([]) == Exact()
    assert combine([Exact(), Exact()]) == Exact()


def test_rounding_errors_add_up():
    assert combine([Close(3), Exact(), Close(4)]) == Close(7)


def test_a_promise_of_no_rounding_errors_is_not_exact():
    assert combine([Exact(), Close(0)]) == Close(0)


def test_a_loss_drowns_rounding():
    assert combine([Close(1000), Lossy("cosine", 0.99), Exact()]) == Lossy("cosine", 0.99)


@pytest.mark.parametrize(
    ("metric", "floors", "expected"),
    [
        ("sqnr", (30, 30), 30 - 10 * math.log10(2)),
        ("sqnr", (-4000, 20), -4000),
        ("top1", (0.99, 0.98), 0.97),
        ("top1", (0.3, 0.3), 0.0),
        ("max_abs", (0.1, 0.2), 0.3),
        ("cosine", (math.cos(0.1), math.cos(0.2)), math.cos(0.3)),
        ("cosine", (-1, -1), -1),
    ],
)
def test_losses_in_one_metric_add_up(metric, floors, expected):
    combined = combine([Lossy(metric, floor) for floor in floors])
    assert combined.metric == metric
    assert combined.floor == pytest.approx(expected)


def test_losses_in_different_metrics_have_no_sum():
    with pytest.raises(UsageError, match="cosine, sqnr"):
        combine([Lossy("sqnr", 30), Lossy("cosine", 0.9)])


@given(st.lists(NUMBERS.map(Close)), st.randoms())
def test_the_order_of_steps_does_not_matter(steps, random):
    shuffled = list(steps)
    random.shuffle(shuffled)
    assert combine(shuffled) == combine(steps)
