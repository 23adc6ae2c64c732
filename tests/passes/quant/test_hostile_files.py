"""What cannot be quantised is told in one sentence, and nothing is written; networks of strange make are quantised, or
left alone with a reason."""

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from graphopt.cli.app import application
from tests.corpus import files
from tests.passes.quant.nets import convs, executed, quantised, run, samples, saved, sqnr
from tests.support import operators

GOOD = samples()
STATIC = ("--passes", "quant:scheme=static")


def with_nan():
    x = samples()
    x[3, 1, 4, 1] = np.nan
    return x


BAD = {
    "NaN": (with_nan(), STATIC, "sample 3 of 'x' holds NaN"),
    "another size": (samples((16, 3, 12, 11)), STATIC, "takes samples of the shape [3, 12, 12]"),
    "another rank": (samples((16, 3, 12)), STATIC, "takes samples of the shape [3, 12, 12]"),
    "no samples": (samples((0, 3, 12, 12)), STATIC, "holds no samples"),
    "words": (np.full((16, 3, 12, 12), "text"), STATIC, "takes float32"),
    "integers that the target lacks": (GOOD, ("--passes", "quant:scheme=static16"), "no kernels for activations of 16"),
    "a target without integers": (GOOD, (*STATIC, "--target", "cuda"), "computes no network in int8"),
    "a grid that the target lacks": (GOOD, ("--passes", "quant:symmetric=no", "--target", "tensorrt"), "symmetric=no"),
    "a format for others": (GOOD, ("--passes", "quant:format=qoperator", "--target", "tensorrt"), "qdq only"),
    "no such scheme": (GOOD, ("--passes", "quant:scheme=int5"), "or static or static16 or dynamic"),
    "no such layer": (GOOD, ("--passes", "quant:exclude=nowhere"), "no layer 'nowhere'"),
}


def optimize(folder, model, x, *options):
    """What the command line says, and whether it wrote a model."""
    source, target = folder / "model.onnx", folder / "out.onnx"
    onnx.save(model, source)
    data = saved(folder, x=x)
    arguments = ["optimize", source, "-o", target, "--calibration", data, "--verify", "off", *options]
    result = CliRunner(env={"COLUMNS": "300"}).invoke(application("optimize"), [str(one) for one in arguments])
    return result, target.exists()


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_is_an_error_in_words_and_nothing_is_written(bad, tmp_path):
    x, options, words = BAD[bad]
    result, wrote = optimize(tmp_path, convs(), x, *options)
    assert (result.exit_code, wrote) == (2, False)
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_quantised_model_is_not_quantised_again_unasked(tmp_path):
    model = quantised(convs(), saved(tmp_path, x=GOOD)).model.to_proto()
    result, wrote = optimize(tmp_path, model, GOOD, *STATIC)
    assert (result.exit_code, wrote) == (2, False)
    assert "quantised already" in result.output


def test_few_samples_are_told_with_the_number_that_would_do(tmp_path):
    result, wrote = optimize(tmp_path, convs(), GOOD[:3], *STATIC)
    assert (result.exit_code, wrote) == (0, True)
    assert "calibrated on 3 samples" in result.output
    assert "with 199 samples that is 1%" in result.output


@pytest.mark.parametrize(
    ("name", "integers", "says"),
    [
        ("ppocr-cls", True, ""),
        ("silero-vad-op15", True, ""),
        ("silero-vad", False, "because it lies in the body of an If"),
        ("trees-sklearn", False, "no layer"),
    ],
)
def test_networks_of_strange_make(name, integers, says):
    """Weights that are Constant nodes, branches, states, and no layer at all."""
    path = files.ROOT / "nets" / f"{name}.onnx"
    if not path.exists():
        pytest.skip("the corpus is not there")
    result = quantised(path, path.with_suffix(".npz"), "quant:scheme=static:calibrate=minmax:rounding=nearest")
    found, feeds = result.model.to_proto(), files.inputs(path)
    onnx.checker.check_model(found)
    assert ("QuantizeLinear" in operators(found)) == integers
    assert says in " ".join(result.report.notes)
    for one, other in zip(run(onnx.load(path), **feeds), run(found, **feeds), strict=True):
        assert np.array_equal(one, other) if not integers else sqnr(one, other) > 20
    if integers:
        assert executed(found)["QLinearConv"] > 1
