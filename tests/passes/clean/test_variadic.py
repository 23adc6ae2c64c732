import pytest

from passes.clean import single_input, single_split
from tests.support import fires, refuses


@pytest.mark.parametrize("op", ["Concat<axis=0>", "Sum", "Mean", "Max", "Min"])
def test_one_input(op):
    fires(single_input, f"m (float[N] x) => (float[N] y) {{ r = Relu(x)  y = {op}(r) }}", leaves=["Relu"])


@pytest.mark.parametrize("op", ["Concat<axis=0>", "Sum"])
def test_not_two_inputs(op):
    refuses(single_input, f"m (float[N] x) => (float[M] y) {{ r = Relu(x)  y = {op}(r, x) }}")


@pytest.mark.parametrize("call", ["Split<num_outputs=1>(r)", "Split(r, whole)"])
def test_one_part(call):
    fires(
        single_split,
        f"m (float[4] x) => (float[4] y) <int64[1] whole = {{4}}> {{ r = Relu(x)  y = {call} }}",
        leaves=["Relu"],
    )


def test_not_two_parts():
    text = "m (float[4] x) => (float[2] y, float[2] z) { r = Relu(x)  y, z = Split<num_outputs=2>(r) }"
    refuses(single_split, text, reason="several parts")
