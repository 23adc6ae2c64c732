import numpy as np
import pytest

import graphopt
from graphopt.errors import UsageError
from tests.support import apply, operators, proto

TEXT = """m (float[N, 4] x) => (float[N, 4] y) {
    one = Constant<value = float {1}>()
    a = Identity(x)
    b = Mul(a, one)
    c = Relu(b)
    d = Relu(x)
    e = Add(c, d)
    dead = Exp(e)
    y = Cast<to=1>(e)
}"""


def test_everything_together_and_nothing_the_second_time():
    first = apply("clean", TEXT)
    assert operators(first.model) == {"Relu": 1, "Add": 1}
    message = first.model.to_proto()
    second = graphopt.optimize(message, passes="clean")
    assert not second.report.rewrites
    assert second.model.to_proto().SerializeToString(deterministic=True) == message.SerializeToString(
        deterministic=True
    )


def test_parts_can_be_chosen_and_left_out():
    assert operators(apply("clean:only=identity+noop_cast", TEXT).model)["Constant"] == 1
    assert operators(apply("clean:skip=common_subexpressions", TEXT).model)["Relu"] == 2


def test_a_part_that_does_not_exist():
    with pytest.raises(UsageError, match="no part 'identities'"):
        apply("clean:only=identities", TEXT)


def test_initializers_listed_as_inputs_before_ir_version_4():
    text = """<ir_version: 3, opset_import: ["" : 8]> m (float[2] x, float[2] c) => (float[2] y)
    { a = Identity(x)  y = Add(a, c) }"""
    message = proto(text, {"c": np.ones(2, np.float32)})
    result = graphopt.optimize(message, passes="clean").model.to_proto()
    assert [given.name for given in result.graph.input] == ["x", "c"]
    assert operators(result) == {"Add": 1}
