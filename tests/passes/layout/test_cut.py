import itertools
import random

import pytest

from passes.layout.cut import Value, cheapest, cost


def test_a_value_used_by_many_is_paid_once():
    values = [Value(0, ("a", "b", "c"), 5.0), *(Value(one, (1,), 2.0) for one in "abc")]
    labels = cheapest("abc", values, {})
    assert cost(values, labels, {}) == 5
    assert [labels[one] for one in "abc"] == [1, 1, 1]


def test_nothing_moves_where_that_would_cost_more():
    values = [Value(0, ("a",), 1.0), Value("a", (1, 0), 3.0), Value("a", (0,), 1.0)]
    labels = cheapest("a", values, {})
    assert labels["a"] == 0


def test_what_a_call_costs_by_itself_counts():
    values = [Value(0, ("a",), 2.0), Value("a", (1,), 3.0)]
    assert cheapest("a", values, {})["a"] == 1
    assert cheapest("a", values, {"a": (0.0, 10.0)})["a"] == 0


@pytest.mark.parametrize("seed", range(40))
def test_no_assignment_is_cheaper(seed):
    rng = random.Random(seed)
    keys = "abcdef"[: rng.randint(1, 6)]
    ends = [*keys, 0, 1]
    values = [
        Value(rng.choice(ends), tuple(rng.sample(ends, rng.randint(1, min(4, len(ends))))), float(rng.randint(1, 9)))
        for _ in range(rng.randint(1, 9))
    ]
    unary = {key: (float(rng.randint(0, 4)), float(rng.randint(0, 4))) for key in keys if rng.random() < 0.5}
    found = cost(values, cheapest(keys, values, unary), unary)
    every = (
        {0: 0, 1: 1, **dict(zip(keys, labels, strict=True))} for labels in itertools.product((0, 1), repeat=len(keys))
    )
    assert found == min(cost(values, labels, unary) for labels in every)


def test_a_long_chain_takes_no_recursion():
    count = 20_000
    values = [Value(0, (0,), 1.0), *(Value(i, (i + 1,), 1.0) for i in range(2, count)), Value(count, (1,), 3.0)]
    values.append(Value(0, (2,), 2.0))
    labels = cheapest(list(range(2, count + 1)), values, {})
    assert cost(values, labels, {}) == 1
