"""The two trained networks in models/ and their data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from models.evaluate import top1

MODELS = Path(__file__).parents[2] / "models"
NAMES = ["digits", "digits_transformer"]
SPLITS = {"train": 1297, "test": 500}


@pytest.fixture(params=NAMES)
def path(request):
    return MODELS / f"{request.param}.onnx"


def operators(name):
    return Counter(node.op_type for node in onnx.load(MODELS / f"{name}.onnx").graph.node)


def arrays(split):
    with np.load(MODELS / f"digits.{split}.npz") as file:
        return dict(file)


def test_everything_is_small():
    files = [*MODELS.glob("*.onnx"), *MODELS.glob("*.npz")]
    assert len(files) == 4
    assert sum(file.stat().st_size for file in files) < 2_000_000


def test_the_model_is_valid(path):
    onnx.checker.check_model(path, full_check=True)


def test_the_batch_is_free(path):
    graph = onnx.load(path).graph
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [["batch", 1, 8, 8], ["batch", 10]]


def test_no_path_of_the_training_machine_is_left(path):
    assert b".py" not in path.read_bytes()


def test_held_out_accuracy(path):
    assert top1(path, MODELS / "digits.test.npz") >= 0.97


def test_one_picture_gives_what_it_gives_among_others(path):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = arrays("test")["image"][:7]
    (together,) = session.run(None, {"image": image})
    alone = np.concatenate([session.run(None, {"image": one[None]})[0] for one in image])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("split", "count"), SPLITS.items())
def test_the_data_fits_the_models(split, count):
    data = arrays(split)
    assert {name: (array.dtype.name, array.shape) for name, array in data.items()} == {
        "image": ("float32", (count, 1, 8, 8)),
        "label": ("int64", (count,)),
    }
    assert data["image"].min() == 0
    assert data["image"].max() == 1
    assert set(data["label"]) == set(range(10))


def test_the_held_out_pictures_were_not_trained_on():
    train, test = ({image.tobytes() for image in arrays(split)["image"]} for split in SPLITS)
    assert not train & test


def test_digits_is_as_exported():
    found = operators("digits")
    assert found["Conv"] == found["BatchNormalization"] == 7
    assert found.keys() >= {"Add", "Clip", "Flatten", "Gemm", "GlobalAveragePool", "MaxPool", "Relu"}
    convs = [node for node in onnx.load(MODELS / "digits.onnx").graph.node if node.op_type == "Conv"]
    groups = [a.i for node in convs for a in node.attribute if a.name == "group"]
    assert max(groups) > 1


def test_digits_transformer_is_as_exported():
    found = operators("digits_transformer")
    assert found["Softmax"] == found["Gelu"] == 2
    assert found["LayerNormalization"] == 5
    assert found["Constant"] > 20
    assert found.keys() >= {"Gather", "MatMul", "ReduceMean", "Reshape", "Shape", "Transpose"}
