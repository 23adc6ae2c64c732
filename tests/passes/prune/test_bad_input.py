"""What somebody is told, at the command line, who asks for what cannot be done; and the exit code."""

from __future__ import annotations

import onnx
import pytest

from tests.cli.conftest import run
from tests.support import proto

NET = """
g (float[n, 4, 8, 8] x) => (float[n, 6] y) {
    a = Conv(x, w1, b1)
    r = Relu(a)
    p = GlobalAveragePool(r)
    f = Flatten(p)
    l = Gemm<transB = 1>(f, w2, b2)
    y = Softmax(l)
}
"""
WEIGHTS = {"w1": (16, 4, 3, 3), "b1": (16,), "w2": (6, 16), "b2": (6,)}
PINNED = "w2: l axis 1: Softmax works on the whole of it"


def prune(folder, options, text=NET, weights=WEIGHTS):
    """The exit code, and what is said."""
    onnx.save(proto(text, weights), folder / "net.onnx")
    result = run("optimize", folder / "net.onnx", "--passes", f"prune{options}", "-o", folder / "out.onnx")
    assert not (folder / "out.onnx").exists()
    return result.exit_code, " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (":importance=obs", "importance=obs needs samples to run the model on: --calibration DATA"),
        (":importance=taylor", "importance=taylor needs samples"),
        (":recover=statistics", "recover=statistics needs samples"),
        (":allocate=sensitivity:macs=0.5", "allocate=sensitivity needs samples"),
        (":macs=0.01", "macs=0.01 cannot be reached: at least 0.06"),
        (":macs=0.01", f"pinned: {PINNED}"),
        (":macs=0.5:floor=12", "macs=0.5 cannot be reached: at least 0.75"),
        (":only=fc*", "only=fc* matches no group; some are w1, w2. graphopt inspect --groups shows all."),
        (":keep=fc*", "keep=fc* matches no group; some are w1, w2."),
        (":only=w2", "only=w2 leaves nothing to cut; there are groups 1 of channels; w2 stays because of l axis 1"),
        (":only=w1:keep=w*", "only=w1 and keep=w* leaves nothing to cut; there are groups 1 of channels"),
        (":kinds=heads", "kinds=heads leaves nothing to cut; there are groups 1 of channels"),
        (":importance=bn", "importance=bn needs a BatchNormalization in every group, and w1 has none"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_is_in_the_way(options, said, tmp_path):
    code, output = prune(tmp_path, options)
    assert code == 2
    assert said in output


@pytest.mark.parametrize(
    ("text", "weights", "said"),
    [
        ("g (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }", {}, "it has no weights that make channels"),
        (
            "g (float[n, 4] x) => (float[n, 2] y) { y = MatMul(x, w) }",
            {"w": (4, 2)},
            "w stays because of y axis 1: it is an output of the model",
        ),
    ],
)
def test_a_network_with_nothing_to_prune_is_told_why(text, weights, said, tmp_path):
    code, output = prune(tmp_path, "", text, weights)
    assert code == 2
    assert "nothing in this model can be cut" in output
    assert said in output
