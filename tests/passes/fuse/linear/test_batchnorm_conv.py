import numpy as np
import pytest

from passes.fuse.linear import batchnorm_conv
from tests.support import fires, refuses


def normalisation(channels, *, centred=False):
    rng = np.random.default_rng(2)
    made = {name: rng.standard_normal(channels).astype(np.float32) for name in ("gamma", "beta", "mean")}
    if centred:
        made |= {name: np.zeros(channels, np.float32) for name in ("beta", "mean")}
    return made | {"var": rng.uniform(0.1, 2, channels).astype(np.float32)}


def model(conv, image="6,9,8", bn=""):
    result = "NMHWD"[: 2 + image.count(",")]
    return f"""agraph (float[N,{image}] x) => (float[{",".join(result)}] y) {{
      z = BatchNormalization {bn} (x, gamma, beta, mean, var)
      y = {conv}
    }}"""


@pytest.mark.parametrize(
    ("image", "conv", "weights"),
    [
        ("6,9,8", "Conv (z, w)", (4, 6, 1, 1)),
        ("6,9,8", "Conv <group = 2> (z, w)", (4, 3, 3, 3)),
        ("6,9,8", "Conv <group = 6, strides = [2,1]> (z, w)", (12, 1, 3, 3)),
        ("6,9", 'Conv <auto_pad = "VALID"> (z, w)', (4, 6, 3)),
        ("6,5,4,3", "Conv <group = 3, pads = [0,0,0,0,0,0]> (z, w)", (6, 2, 2, 2, 2)),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions_that_do_not_pad(image, conv, weights, bias):
    given = {"w": weights, **normalisation(6)} | ({"b": (weights[0],)} if bias else {})
    fires(batchnorm_conv, model(conv.replace(", w)", ", w, b)" if bias else ", w)"), image), given, leaves=["Conv"])


@pytest.mark.parametrize("conv", ["Conv <pads = [0,1,0,0]> (z, w)", 'Conv <auto_pad = "SAME_LOWER"> (z, w)'])
def test_padding_needs_a_normalisation_without_a_shift(conv):
    given = {"w": (4, 6, 3, 3)}
    refuses(batchnorm_conv, model(conv), given | normalisation(6), reason="pads its input")
    fires(batchnorm_conv, model(conv), given | normalisation(6, centred=True), leaves=["Conv"])


@pytest.mark.parametrize(("group", "weights"), [(1, (6, 4, 3, 3)), (2, (6, 4, 3, 3)), (6, (6, 1, 3, 3))])
def test_transposed_conv_needs_a_normalisation_without_a_shift(group, weights):
    text = model(f"ConvTranspose <group = {group}> (z, w, b)")
    given = {"w": weights, "b": (weights[1] * group,)}
    refuses(batchnorm_conv, text, given | normalisation(6), reason="borders")
    fires(batchnorm_conv, text, given | normalisation(6, centred=True), leaves=["ConvTranspose"])


def test_refuses_another_reader_between():
    text = """agraph (float[N,6,9,8] x) => (float[N,4,9,8] y, float[N,6,9,8] u) {
      z = BatchNormalization (x, gamma, beta, mean, var)
      y = Conv (z, w)
      u = Relu (z)
    }"""
    refuses(batchnorm_conv, text, {"w": (4, 6, 1, 1), **normalisation(6)})


def test_refuses_training_mode():
    text = (
        model("Conv (z, w)").replace("z =", "z, m, v =").replace("Normalization ", "Normalization <training_mode = 1>")
    )
    refuses(batchnorm_conv, text, {"w": (4, 6, 1, 1), **normalisation(6)}, reason="outputs")


def test_refuses_a_copy_of_large_shared_weights():
    text = """agraph (float[N,64,9,8] x) => (float[N,64,9,8] y) {
      z = BatchNormalization (x, gamma, beta, mean, var)
      a = Conv (z, w)
      b = Relu (a)
      y = Conv (b, w)
    }"""
    refuses(batchnorm_conv, text, {"w": (64, 64, 2, 2), **normalisation(64)}, reason="a second copy is large")
