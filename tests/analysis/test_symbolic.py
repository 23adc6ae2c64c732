from fractions import Fraction
from math import ceil as ceil_number
from math import floor as floor_number

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graphopt.analysis import order, symbolic
from graphopt.analysis.order import Facts, evaluate
from graphopt.analysis.symbolic import Expression, symbol
from graphopt.analysis.text import parse

NAMES = ("a", "b", "batch size", "x.0")
numbers = st.integers(-9, 9)
positive = st.integers(1, 9)
bindings = st.fixed_dictionaries({name: st.integers(0, 50) for name in NAMES})


def scalars(*, fractions=False):
    leaves = st.one_of(numbers, st.sampled_from(NAMES).map(symbol))

    def larger(inner):
        options = [
            st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
            st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
            st.tuples(inner, st.one_of(numbers, st.sampled_from(NAMES).map(symbol))).map(lambda p: p[0] * p[1]),
            st.tuples(inner, positive).map(lambda p: symbolic.floor(p[0] * Fraction(1, p[1]))),
            st.tuples(inner, inner).map(lambda p: order.maximum(*p)),
            st.tuples(inner, inner).map(lambda p: order.minimum(*p)),
        ]
        if fractions:
            options.append(st.tuples(inner, positive).map(lambda p: p[0] * Fraction(1, p[1])))
        return st.one_of(options)

    return st.recursive(leaves, larger, max_leaves=6)


anything = scalars(fractions=True)


@given(anything, anything, anything)
def test_equal_polynomials_have_one_form(a, b, c):
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert a * (b + c) == a * b + a * c
    assert a - a == 0
    assert hash(a + b) == hash(b + a)
    assert str(a * (b + c)) == str(a * b + c * a)


@given(anything, anything, bindings)
def test_arithmetic_agrees_with_numbers(a, b, binding):
    x, y = evaluate(a, binding), evaluate(b, binding)
    assert evaluate(a + b, binding) == x + y
    assert evaluate(a - b, binding) == x - y
    assert evaluate(a * b, binding) == x * y
    assert evaluate(-a, binding) == -x
    assert evaluate(order.maximum(a, b), binding) == max(x, y)
    assert evaluate(order.minimum(a, b), binding) == min(x, y)
    assert evaluate(order.maximum(a, b, a, 3), binding) == max(x, y, 3)


@given(anything, bindings)
def test_rounding_agrees_with_numbers(a, binding):
    x = evaluate(a, binding)
    assert evaluate(symbolic.floor(a), binding) == floor_number(x)
    assert evaluate(order.trunc(a), binding) == int(x)


@given(scalars(), positive, bindings)
def test_rounding_up_agrees_with_numbers(a, divisor, binding):
    a = a * Fraction(1, divisor)
    assert evaluate(symbolic.ceil(a), binding) == ceil_number(evaluate(a, binding))


@given(scalars(), st.one_of(numbers, scalars()), bindings)
def test_integer_division_agrees_with_numbers(a, b, binding):
    x, y = evaluate(a, binding), evaluate(b, binding)
    assume(y != 0)
    floored, truncated = symbolic.floordiv(a, b), order.truncdiv(a, b)
    assert b == 0 or floored is not None
    if floored is not None:
        assert evaluate(floored, binding) == x // y
    if truncated is not None:
        assert evaluate(truncated, binding) == (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1)


@given(scalars(), scalars())
def test_a_product_divides_exactly(a, b):
    assume(b != 0)
    assert symbolic.divide(a * b, b) == a


@given(anything, anything)
def test_an_exact_quotient_multiplies_back(a, b):
    quotient = symbolic.divide(a, b)
    if quotient is not None:
        assert quotient * b == a


@given(anything)
def test_text_reads_back(a):
    assert parse(str(a)) == a


@given(anything, anything, bindings)
def test_comparisons_hold_for_every_size(a, b, binding):
    x, y = evaluate(a, binding), evaluate(b, binding)
    low, high = order.bounds(a)
    assert low is None or low <= x
    assert high is None or high >= x
    assert order.equal(a, b) in (None, x == y)
    assert order.less(a, b) in (None, x < y)
    assert not order.at_least(a, b) or x >= y


@given(st.lists(scalars(), max_size=3), scalars(), scalars(), bindings)
def test_facts_decide_only_what_follows(sizes, a, b, binding):
    assume(all(evaluate(size, binding) >= 0 for size in sizes))
    facts = Facts()
    for size in sizes:
        facts.add(size)
    x, y = evaluate(a, binding), evaluate(b, binding)
    assert not facts.at_least(a, b) or x >= y
    assert facts.equal(a, b) in (None, x == y)
    assert facts.less(a, b) in (None, x < y)


@given(anything, bindings, bindings)
def test_substitution_in_two_steps_is_substitution(a, first, second):
    some = {name: first[name] for name in NAMES[:2]}
    assert evaluate(order.substitute(a, some), second) == evaluate(a, second | some)


def test_canonical_texts():
    h, batch = symbol("h"), symbol("batch")
    assert str(2 * h + 1) == "2*h + 1"
    assert str(batch * h - h * h) == "batch*h - h**2"
    assert str(symbol("batch size") * 2) == "2*`batch size`"
    assert str(symbolic.floordiv(h, 2)) == "floor(h/2)"
    assert str(symbolic.divide(batch * 49 * 96, 49 * 96)) == "batch"
    assert str(symbolic.divide(h, 2)) == "h/2"
    assert str(order.minimum(h, 512)) == "min(512, h)"
    assert str(symbolic.floordiv(h, batch)) == "div(h, batch)"


def test_stacked_strides_are_one_division():
    h = symbol("h")
    once = symbolic.floordiv(h - 1, 2) + 1
    assert str(symbolic.floordiv(once - 1, 2) + 1) == "floor(h/4 + 3/4)"


def test_sizes_are_not_negative_but_may_be_zero():
    h = symbol("h")
    assert order.equal(h, -1) is False
    assert order.equal(h, 0) is None
    assert order.equal(2 * h, 1) is False
    assert order.less(h, 0) is False
    assert order.less(h, 1) is None


def test_a_size_is_known_not_to_be_negative():
    h = symbol("h")
    facts = Facts()
    assert facts.equal(h - 2, -1) is None
    facts.add(h - 2)
    assert facts.equal(h - 2, -1) is False
    assert facts.at_least(h, 2)
    assert not facts.at_least(h, 3)


@pytest.mark.parametrize(
    "text", ["", "1 +", "a b", "floor(", "f(x)", "a // b", "3.5", "a/b", "(a", "*", "`a", "div(a, 0)"]
)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_evaluation_names_what_is_missing():
    with pytest.raises(ValueError, match="no number is given for h in h \\+ w"):
        evaluate(symbol("h") + symbol("w"), {"w": 1})


def test_an_expression_prints_itself():
    assert repr(symbol("h") + 1) == "Expression('h + 1')"
    assert isinstance(symbol("h") + 1, Expression)


LENGTH = symbol("length")


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (LENGTH, True),
        (order.minimum(LENGTH, 512), True),
        (order.minimum(LENGTH, 512, 64), True),
        (order.minimum(LENGTH, 1), False),
        (order.minimum(symbol("other"), 512), False),
        (order.minimum(LENGTH, symbol("other")), False),
        (order.minimum(LENGTH, 512) + 1, False),
        (512, False),
    ],
)
def test_lengths_cut_off_at_the_end_of_a_table(length, expected):
    assert order.cut_off(length, LENGTH) == expected
