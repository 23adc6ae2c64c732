"""Amounts with units, and which of them make sense."""

from __future__ import annotations

import pytest

from graphopt import UsageError
from graphopt.budget import Budget, Drop
from graphopt.budget.values import show_seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1%", Drop(1, "%")),
        (" 0.5 points ", Drop(0.5, "points")),
        ("1 point", Drop(1, "points")),
        ("0.02", Drop(0.02)),
        ("0", Drop(0)),
        (0.02, Drop(0.02)),
    ],
)
def test_drops(text, expected):
    assert Budget(max_drop=text).max_drop == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("5ms", 0.005), ("800 us", 8e-4), ("800µs", 8e-4), ("0.2s", 0.2), ("1e-1 s", 0.1), (2, 2)]
)
def test_latencies(text, seconds):
    assert Budget(max_latency=text).max_latency == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "count"),
    [("8MB", 8_000_000), ("8 MiB", 8 << 20), ("300kB", 300_000), ("1.5 GB", 1_500_000_000), ("17B", 17), (17, 17)],
)
def test_sizes(text, count):
    assert Budget(max_size=text).max_size == count


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_drop": "1 percent"}, "max-drop: there is no unit 'percent'; there are: %, points"),
        ({"max_drop": "-1%"}, "max-drop must be at least 0 and finite, found -1%"),
        ({"max_drop": "nan"}, "max-drop: 'nan' is no amount; write 1%, 0.5 points"),
        ({"max_drop": float("nan")}, "max-drop must be at least 0 and finite, found nan"),
        ({"max_drop": ""}, "max-drop: '' is no amount"),
        ({"max_latency": "5"}, "max-latency: '5' has no unit: write 5ms"),
        ({"max_latency": "5 min"}, "max-latency: there is no unit 'min'; there are: s, ms, us"),
        ({"max_latency": "0ms"}, "max-latency must be above 0 and finite, found 0ms"),
        ({"max_latency": "1e-4us"}, "no run takes less than 1 µs, found 1e-4us"),
        ({"max_size": "8"}, "max-size: '8' has no unit: write 8MB"),
        ({"max_size": "8mb"}, "max-size: there is no unit 'mb'; there are: B, kB, KB, MB"),
        ({"max_size": "-8MB"}, "max-size must be above 0 and finite, found -8MB"),
        ({"max_size": "0.5B"}, "max-size must be at least one byte, found 0.5B"),
        ({"max_size": "1e999MB"}, "max-size must be above 0 and finite"),
    ],
)
def test_what_is_no_amount_is_said(given, said):
    with pytest.raises(UsageError) as caught:
        Budget(**given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("drop", "score", "share", "allowed"),
    [
        (Drop(1, "%"), 0.9, True, 0.01),  # one point
        (Drop(1, "%"), 24.0, False, 0.24),  # a hundredth of the score
        (Drop(0.5, "points"), 0.9, True, 0.005),
        (Drop(0.02), 0.9, True, 0.02),
        (Drop(3), 24.0, False, 3.0),
        (Drop(0), 0.0, False, 0.0),
    ],
)
def test_a_percent_is_a_point_of_shares_and_a_hundredth_of_other_scores(drop, score, share, allowed):
    assert drop.of(score, share=share) == pytest.approx(allowed)


@pytest.mark.parametrize(
    ("drop", "score", "share", "said"),
    [
        (Drop(1, "points"), 24.0, False, "hundredths of a share, which this metric is not"),
        (Drop(1, "%"), 0.0, False, "1% of 0, which the original scores, is nothing"),
        (Drop(150, "%"), 0.9, True, "no score between 0 and 1 can drop by 150%"),
        (Drop(2), 0.9, True, "no score between 0 and 1 can drop by 2"),
    ],
)
def test_drops_that_do_not_go_with_the_metric(drop, score, share, said):
    with pytest.raises(UsageError) as caught:
        drop.of(score, share=share)
    assert said in str(caught.value)


def test_a_budget_is_something_if_there_is_any_limit():
    assert not Budget()
    assert all((Budget(max_drop=0), Budget(never_slower=True), Budget(max_size=1), Budget(max_latency=1)))


@pytest.mark.parametrize(("seconds", "text"), [(0.00487, "4.87 ms"), (1.5, "1.5 s"), (12e-6, "12 µs")])
def test_times_are_shown_in_their_unit(seconds, text):
    assert show_seconds(seconds) == text
