import numpy as np
import pytest

from passes.fuse.linear import batchnorm_gemm, gemm_batchnorm
from tests.support import fires, refuses


def normalisation(channels, dtype=np.float32):
    rng = np.random.default_rng(2)
    made = {name: rng.standard_normal(channels).astype(dtype) for name in ("gamma", "beta", "mean")}
    return made | {"var": rng.uniform(0.1, 2, channels).astype(dtype)}


def after(product, dtype="float", x="N,6", result="N,5"):
    return f"""agraph ({dtype}[{x}] x) => ({dtype}[{result}] y) {{
      z = {product}
      y = BatchNormalization (z, gamma, beta, mean, var)
    }}"""


def before(product, x="N,6", result="N,5"):
    return f"""agraph (float[{x}] x) => (float[{result}] y) {{
      z = BatchNormalization (x, gamma, beta, mean, var)
      y = {product}
    }}"""


PRODUCTS = [
    "MatMul ({}, w)",
    "Gemm ({}, w)",
    "Gemm <alpha = 0.5, beta = 3.0> ({}, w, b)",
    "Gemm <transB = 1> ({}, w, b)",
]


def weights(product):
    return {"w": (5, 6) if "transB" in product else (6, 5)} | ({"b": (5,)} if ", b" in product else {})


@pytest.mark.parametrize("product", PRODUCTS)
def test_normalised_products(product):
    fires(gemm_batchnorm, after(product.format("x")), weights(product) | normalisation(5), leaves=["Gemm"])


@pytest.mark.parametrize("product", PRODUCTS)
def test_products_of_normalised_input(product):
    fires(batchnorm_gemm, before(product.format("z")), weights(product) | normalisation(6), leaves=["Gemm"])


@pytest.mark.parametrize("shape", [(1,), (1, 5), (1, 1)])
def test_other_biases(shape):
    given = {"w": (6, 5), "b": shape}
    fires(gemm_batchnorm, after("Gemm (x, w, b)"), given | normalisation(5), leaves=["Gemm"])
    fires(batchnorm_gemm, before("Gemm (z, w, b)"), given | normalisation(6), leaves=["Gemm"])


def test_default_epsilon_is_the_runtimes():
    given = {"w": np.random.default_rng(3).standard_normal((6, 5)), **normalisation(5, np.float64)}
    given["var"] = np.full(5, 1e-7)
    fires(gemm_batchnorm, after("Gemm (x, w)", "double"), given, leaves=["Gemm"])


def test_transposed_first_operand():
    text = after("Gemm <transA = 1> (x, w)", x="6,N")
    fires(gemm_batchnorm, text, {"w": (6, 5), **normalisation(5)}, leaves=["Gemm"])
    refuses(
        batchnorm_gemm,
        before("Gemm <transA = 1> (z, w)", x="6,6", result="6,5"),
        {"w": (6, 5), **normalisation(6)},
        reason="transposed",
    )


def test_refuses_other_ranks():
    text = after("MatMul (x, w)", x="N,4,6", result="N,4,5")
    refuses(gemm_batchnorm, text, {"w": (6, 5), **normalisation(4)}, reason="not known to be a matrix")
    text = before("MatMul (z, w)", x="N,4,6", result="N,4,5")
    refuses(batchnorm_gemm, text, {"w": (6, 5), **normalisation(4)}, reason="not known to be a matrix")


def test_refuses_a_bias_that_would_grow():
    given = {"w": (6, 5), "b": (9, 1)}
    refuses(gemm_batchnorm, after("Gemm (x, w, b)", x="9,6", result="9,5"), given | normalisation(5), reason="larger")
    refuses(batchnorm_gemm, before("Gemm (z, w, b)", x="9,6", result="9,5"), given | normalisation(6), reason="larger")


def test_refuses_a_copy_of_large_shared_weights():
    more = "u = MatMul (y, w) }"
    given = {"w": (96, 96), **normalisation(96)}
    for rule, text in ((gemm_batchnorm, after("MatMul (x, w)", x="N,96", result="N,96")),
                       (batchnorm_gemm, before("MatMul (z, w)", x="N,96", result="N,96"))):  # fmt: skip
        shared = text.replace("[N,96] y)", "[N,96] u)").rstrip().removesuffix("}") + more
        refuses(rule, shared, given, reason="a second copy is large")


def test_refuses_a_graph_output_between():
    text = after("MatMul (x, w)").replace("y) {", "y, float[N,5] z) {")
    refuses(gemm_batchnorm, text, {"w": (6, 5), **normalisation(5)})


@pytest.mark.parametrize(
    ("rule", "text"), [(gemm_batchnorm, after("MatMul (x, w)")), (batchnorm_gemm, before("MatMul (z, w)"))]
)
def test_since_opset_7(rule, text):
    fires(
        rule,
        '<ir_version: 3, opset_import: ["" : 7]>' + text,
        {"w": (6, 5)} | normalisation(5 if rule is gemm_batchnorm else 6),
        leaves=["Gemm"],
    )
