import pytest

from passes.clean import cast_chain
from tests.support import fires, refuses

CODES = {
    "float": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "double": 11,
    "bfloat16": 16,
}


def text(first, middle, last):
    return f"""m ({first}[N, 2] x) => ({last}[N, 2] y) {{
        a = Cast<to={CODES[middle]}>(x)
        y = Cast<to={CODES[last]}>(a)
    }}"""


LOSSLESS = [
    ("float16", "float", "float16"),
    ("float16", "double", "float"),
    ("bfloat16", "float", "float16"),
    ("float", "double", "float"),
    ("int8", "int32", "uint8"),
    ("int32", "int64", "int8"),
    ("uint8", "float16", "float"),
    ("int32", "double", "int64"),
    ("bool", "float", "int64"),
    ("int64", "int64", "bool"),
    ("uint8", "bfloat16", "float"),
    ("int8", "bfloat16", "float"),
    ("float", "double", "bool"),
]


@pytest.mark.parametrize(("first", "middle", "last"), LOSSLESS)
def test_the_first_loses_nothing(first, middle, last):
    fires(cast_chain, text(first, middle, last), leaves=["Cast"])


LOSSY = [
    ("float", "float16", "float"),
    ("float", "bfloat16", "float"),
    ("float16", "bfloat16", "float"),
    ("bfloat16", "float16", "float"),
    ("int64", "int32", "int64"),
    ("int64", "double", "int64"),
    ("int32", "float", "int32"),
    ("uint8", "int8", "int32"),
    ("float", "int32", "float"),
    ("float", "bool", "float"),
]


@pytest.mark.parametrize(("first", "middle", "last"), LOSSY)
def test_not_if_the_first_loses_values(first, middle, last):
    refuses(cast_chain, text(first, middle, last), reason="loses values")


def test_not_if_integers_wrap_and_floats_do_not():
    refuses(cast_chain, text("int8", "float", "uint8"), reason="convert differently")


def test_not_from_or_to_strings():
    to_text = "m (float16[2] x) => (string[2] y) { a = Cast<to=1>(x)  y = Cast<to=8>(a) }"
    refuses(cast_chain, to_text, reason="not a plain number")


def test_the_first_may_have_other_readers():
    shared = "m (float16[2] x) => (float16[2] y, float[2] z) { a = Cast<to=1>(x)  z = Abs(a)  y = Cast<to=10>(a) }"
    fires(cast_chain, shared, leaves=["Cast", "Cast", "Abs"])
