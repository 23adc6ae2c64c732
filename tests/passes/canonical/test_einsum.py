"""Products of matrices that are spelled as Einsum."""

from __future__ import annotations

import numpy as np
import pytest

from passes.canonical.einsum import einsum_product
from tests.support import fires, operators, refuses

HEADS = "g (float[n,2,s,4] a, float[n,2,t,4] b) => (float[n,2,s,t] y)"


def text(equation: str, header: str = HEADS) -> str:
    return f'{header} {{ y = Einsum<equation = "{equation}">(a, b) }}'


def test_scores_of_heads():
    fires(einsum_product, text("b h i d, b h j d -> b h i j"), leaves=["Transpose", "MatMul"])


def test_values_of_heads():
    header = "g (float[n,2,s,t] a, float[n,2,t,4] b) => (float[n,2,s,4] y)"
    fires(einsum_product, text("bhij,bhjd->bhid", header), leaves=["MatMul"], target="portable")


def test_a_projection():
    header = "g (float[n,s,8] a, float[8,4] b) => (float[n,s,4] y)"
    fires(einsum_product, text("bnd,dk->bnk", header), leaves=["MatMul"])


def test_since_there_is_einsum():
    model = '<ir_version: 7, opset_import: ["" : 12]> g (float[s,8] a, float[8,4] b) => (float[s,4] y)'
    fires(einsum_product, text("nd,dk->nk", model), leaves=["MatMul"])


def test_a_transposed_first_operand():
    header = "g (float[n,4,s] a, float[n,4,t] b) => (float[n,s,t] y)"
    fires(einsum_product, text("bdi,bdj->bij", header), leaves=["Transpose", "MatMul"])


@pytest.mark.parametrize(
    ("equation", "header", "reason"),
    [
        ("bihd,bjhd->bhij", "g (float[n,s,2,4] a, float[n,t,2,4] b) => (float[n,2,s,t] y)", "another order"),
        ("bhij,bhij->bhij", "g (float[n,2,s,t] a, float[n,2,s,t] b) => (float[n,2,s,t] y)", "one axis"),
        ("...ij,...jk->...ik", "g (float[n,s,t] a, float[n,t,4] b) => (float[n,s,4] y)", "no product of matrices"),
        ("bij,bjk->bi", "g (float[n,s,t] a, float[n,t,4] b) => (float[n,s] y)", "no product of matrices"),
        ("bij,bkj->bki", "g (float[n,s,t] a, float[n,r,t] b) => (float[n,r,s] y)", "first operand"),
        ("bhij,jk->hbik", "g (float[n,2,s,t] a, float[t,4] b) => (float[2,n,s,4] y)", "first operand"),
        ("bhij,hbjk->bhik", "g (float[n,2,s,t] a, float[2,n,t,4] b) => (float[n,2,s,4] y)", "first operand"),
        ("bij,bjk->bik", "g (float[n,s,t] a, float[m,t,4] b) => (float[k,s,4] y)", "same leading dimensions"),
        ("i,ik->k", "g (float[t] a, float[t,4] b) => (float[4] y)", "no product of matrices"),
        ("bij,jk->bik", "g (int32[n,s,t] a, int32[t,4] b) => (int32[n,s,4] y)", "floating"),
        ("bij,jk->bik", "g (bfloat16[n,s,t] a, bfloat16[t,4] b) => (bfloat16[n,s,4] y)", "in bfloat16"),
    ],
)
def test_others_stay(equation, header, reason):
    refuses(einsum_product, text(equation, header), reason=reason)


def test_without_a_product_that_transposes_it_stays():
    refuses(einsum_product, text("bhid,bhjd->bhij"), reason="no product that transposes", target="portable")


def test_attention_by_einsum():
    body = """
        qt = Einsum<equation = "b h i d, b h j d -> b h i j">(q, k) s = Mul(qt, root) p = Softmax<axis = -1>(s)
        o = Einsum<equation = "b h i j, b h j d -> b h i d">(p, v) ot = Transpose<perm = [0, 2, 1, 3]>(o)
        y = Reshape(ot, flat)
    """
    heads = "float[n,2,s,4] q, float[n,2,s,4] k, float[n,2,s,4] v"
    weights = {"root": np.float32(0.5), "flat": np.array([0, 0, 8])}
    model = fires(
        "canonical,attention,clean", f"g ({heads}) => (float[n,s,8] y) {{ {body} }}", weights,
        leaves={"Transpose": 1, "Reshape": 1, "MultiHeadAttention": 1},
    )  # fmt: skip
    assert not operators(model)["Softmax"]
