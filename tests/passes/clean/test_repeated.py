import pytest

from passes.clean import idempotent, involution
from tests.support import fires, refuses


@pytest.mark.parametrize("op", ["Relu", "Abs", "Ceil", "Floor", "Round", "Sign"])
def test_the_second_does_nothing(op):
    fires(idempotent, f"m (float[N] x) => (float[N] y) {{ a = {op}(x)  y = {op}(a) }}", leaves=[op])


def test_the_first_may_have_other_readers():
    text = "m (float[N] x) => (float[N] y, float[N] z) { a = Relu(x)  y = Relu(a)  z = Neg(a) }"
    fires(idempotent, text, leaves=["Relu", "Neg"])


def test_not_two_different_ones():
    refuses(idempotent, "m (float[N] x) => (float[N] y) { a = Floor(x)  y = Abs(a) }", reason="different")


def test_not_if_both_are_returned():
    refuses(
        idempotent, "m (float[N] x) => (float[N] y, float[N] a) { a = Relu(x)  y = Relu(a) }", reason="under this name"
    )


@pytest.mark.parametrize(
    ("op", "dtype"), [("Neg", "float"), ("Neg", "int32"), ("Not", "bool"), ("BitwiseNot", "uint8")]
)
def test_two_cancel(op, dtype):
    text = f"m ({dtype}[N] x) => ({dtype}[M] y) {{ a = {op}(x)  b = {op}(a)  y = Concat<axis=0>(b, b) }}"
    fires(involution, text, leaves=["Concat"])


def test_two_different_ones_do_not_cancel():
    text = "m (int32[N] x) => (int32[M] y) { a = Neg(x)  b = BitwiseNot(a)  y = Concat<axis=0>(b, b) }"
    refuses(involution, text, reason="different")


def test_not_from_an_input_to_an_output():
    refuses(involution, "m (float[N] x) => (float[N] y) { a = Neg(x)  y = Neg(a) }", reason="under this name")
