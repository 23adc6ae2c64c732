"""Every claim about every tensor of real networks holds when ONNX Runtime runs them."""

import numpy as np
import onnx
import onnxruntime
import pytest

from graphopt.analysis import Shapes, default_binding
from graphopt.analysis.binding import bindings
from graphopt.ir.reader import load
from tests.analysis import claims
from tests.corpus import files

PATHS = files.models()
pytestmark = pytest.mark.skipif(not PATHS, reason="the corpus is not beside this checkout")

MOST_OUTPUTS = 400
"""Of larger models, this many tensors are looked at, spread over the whole."""


def run(proto, feeds):
    """Every tensor of the main graph, by name."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(claims.intermediates(proto).SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    names = names[:: max(1, len(names) // MOST_OUTPUTS)]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def resized(model, feeds, binding):
    """The feeds, repeated or cut to the sizes of a binding."""
    shapes = Shapes(model, binding)
    return {t.name: np.resize(feeds[t.name], shapes.static(t)) for t in model.graph.inputs if t.name in feeds}


def check(model, proto, feeds):
    shapes, named = Shapes(model), claims.sizes(model, feeds)
    concrete = Shapes(model, named)
    by_name = {t.name: t for node in model.graph.nodes for t in node.outputs}
    looked_at = 0
    for name, actual in run(proto, feeds).items():
        if isinstance(actual, np.ndarray) and name in by_name:
            looked_at += 1
            assert not list(claims.contradictions(shapes, by_name[name], actual, named))
            assert not list(claims.contradictions(concrete, by_name[name], actual, named))
    return looked_at


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_claims_hold_on_the_models_own_inputs(path):
    assert check(load(path), onnx.load(path), files.inputs(path)) > 0


UNRUNNABLE = {
    "silero-vad": "needs the sizes of its state and its window to fit, which no shape tells",
    "silero-vad-op15": "needs one of two window sizes",
    "trees-sklearn": "needs the number of features that its trees read",
}
FREE = [path for path in PATHS if path.stem not in UNRUNNABLE and default_binding(load(path))]


@pytest.mark.parametrize("path", FREE, ids=lambda path: path.stem)
def test_claims_hold_at_two_other_sizes(path):
    model, proto, feeds = load(path), onnx.load(path), files.inputs(path)
    first, second = bindings(model)
    assert all(first[name] != second[name] for name in first)
    for binding in (first, second):
        assert check(model, proto, resized(model, feeds, binding)) > 0


def known_to_onnx(proto):
    """The tensors whose shapes onnx infers in numbers and names of input dimensions."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.ClearField("type")
    inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    names = {d.dim_param for i in proto.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param}
    return {
        info.name
        for info in (*inferred.graph.value_info, *inferred.graph.output)
        if info.type.tensor_type.HasField("shape")
        and all(d.HasField("dim_value") or d.dim_param in names for d in info.type.tensor_type.shape.dim)
    }


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_no_shape_is_missed_that_onnx_infers(path):
    model = load(path)
    shapes = Shapes(model, defaults=True)  # as onnx does
    tensors = {t.name: t for node in model.graph.nodes for t in node.outputs if t.name}
    known = {name for name, tensor in tensors.items() if claims.fully_known(shapes, tensor)}
    theirs = known_to_onnx(onnx.load(path)) & tensors.keys()
    print(f"{path.stem}: {len(known)} of {len(tensors)} shapes known, {len(theirs)} to onnx")
    assert theirs <= known
