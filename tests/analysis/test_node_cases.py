"""Claims about the outputs of all node cases of the onnx package, with inputs frozen and with dimensions named."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from graphopt.analysis import Shapes
from graphopt.analysis.symbolic import symbols
from graphopt.ir.reader import load
from tests.analysis import claims


def value(data):
    if isinstance(data, onnx.TensorProto):
        return numpy_helper.to_array(data)
    return np.asarray(data) if isinstance(data, np.ndarray | np.generic) else None


@pytest.fixture(scope="module")
def cases():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    return [(case.model, *([value(d) for d in data] for data in case.data_sets[0])) for case in found]


def variant(model, inputs, *, frozen, named):
    """The model with inputs from `frozen` on as initializers, and dimensions of the others as names of their own."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.input[:]
    for i, (info, array) in enumerate(zip(model.graph.input, inputs, strict=True)):
        if i >= frozen and array is not None:
            result.graph.initializer.append(numpy_helper.from_array(array, info.name))
        else:
            result.graph.input.append(info)
    for info in result.graph.input:
        for axis, dim in enumerate(info.type.tensor_type.shape.dim if named else ()):
            dim.dim_param = f"{info.name} {axis}"
    for output in result.graph.output:
        output.ClearField("type")
    return load(result)


VARIANTS = [
    pytest.param(99, False, 0.80, id="as published"),
    pytest.param(99, True, 0.60, id="every dimension named"),
    pytest.param(1, False, 0.94, id="all but the first input frozen"),
    pytest.param(1, True, 0.85, id="all but the first input frozen, its dimensions named"),
    pytest.param(0, False, 0.94, id="all inputs frozen"),
]


@pytest.mark.parametrize(("frozen", "named", "least"), VARIANTS)
def test_claims_hold(cases, frozen, named, least, monkeypatch):
    # What keeps malformed nodes from raising must not hide faults of our own.
    monkeypatch.setattr("graphopt.analysis.inference.MALFORMED", ())
    wrong, known, total = [], 0, 0
    for proto, inputs, outputs in cases:
        model = variant(proto, inputs, frozen=frozen, named=named)
        shapes = Shapes(model)
        feeds = dict(zip((i.name for i in proto.graph.input), inputs, strict=True))
        binding = claims.sizes(model, feeds)
        for tensor, actual in zip(model.graph.outputs, outputs, strict=True):
            if actual is None or not all(symbols(d or 0) <= binding.keys() for d in shapes.dims(tensor) or ()):
                continue
            wrong += claims.contradictions(shapes, tensor, actual, binding)
            known += claims.fully_known(shapes, tensor)
            total += 1
    print(f"{known} of {total} shapes known")
    assert not wrong
    assert total > len(cases)
    assert known > least * total
