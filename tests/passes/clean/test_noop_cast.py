import pytest

from passes.clean import noop_cast
from tests.support import fires, refuses


@pytest.mark.parametrize(("name", "code"), [("float", 1), ("float16", 10), ("bfloat16", 16), ("int64", 7), ("bool", 9)])
def test_to_its_own_type(name, code):
    text = f"m ({name}[N] x) => ({name}[M] y) {{ a = Cast<to={code}>(x)  y = Concat<axis=0>(a, a) }}"
    fires(noop_cast, text, leaves=["Concat"])


def test_cast_like():
    text = "m (float[2] x, float[3] z) => (float[2] y) { a = CastLike(x, z)  y = Abs(a) }"
    fires(noop_cast, text, leaves=["Abs"])


def test_not_to_another_type():
    text = "m (float[2] x) => (double[2] y) { a = Cast<to=11>(x)  y = Abs(a) }"
    refuses(noop_cast, text, reason="the type changes")


def test_not_between_the_two_half_types():
    text = "m (float16[2] x) => (bfloat16[4] y) { a = Cast<to=16>(x)  y = Concat<axis=0>(a, a) }"
    refuses(noop_cast, text, reason="the type changes")


def test_not_if_the_input_is_returned():
    refuses(noop_cast, "m (float[2] x) => (float[2] y) { y = Cast<to=1>(x) }", reason="under this name")
