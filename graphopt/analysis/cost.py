"""What operators cost: multiply-accumulates, from shapes alone. One small table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphopt.analysis.inference import key_of

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes
    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.types import Node, Tensor


class _Unknown(Exception):
    """Raised inside this module where a dimension is unknown."""


_PACKED = 3
"""Rank of an attention's input in which all heads lie side by side: batch, length, hidden."""

Formula = Callable[["Node", "Shapes"], "Scalar"]


def macs(node: Node, shapes: Shapes) -> Scalar | None:
    """Multiply-accumulates of one run of `node`; a polynomial where dimensions are free in `shapes`.

    0 for operators that are not in the table: their work is not made of products. None where a shape is unknown.
    Subgraphs are not looked into: their nodes are nodes of their own.
    """
    formula = TABLE.get(key_of(node.op, node.domain))
    if formula is None:
        return 0
    try:
        return formula(node, shapes)
    except (_Unknown, LookupError, ValueError):
        return None


def _dims(shapes: Shapes, tensors: Sequence[Tensor], index: int) -> tuple[Scalar, ...]:
    dims = shapes.dims(tensors[index]) if tensors[index].name else None
    if dims is None:
        raise _Unknown
    known = tuple(dim for dim in dims if dim is not None)
    if len(known) < len(dims):
        raise _Unknown
    return known


def _product(dims: Sequence[Scalar]) -> Scalar:
    product: Scalar = 1
    for dim in dims:
        product = product * dim
    return product


def _given(node: Node, index: int) -> bool:
    return index < len(node.inputs) and bool(node.inputs[index].name)


def _conv(weight: int = 1) -> Formula:
    """Every element of the output is a sum over input channels of a group and the kernel."""
    return lambda node, shapes: (
        _product(_dims(shapes, node.outputs, 0)) * _product(_dims(shapes, node.inputs, weight)[1:])
    )


def _conv_transpose(node: Node, shapes: Shapes) -> Scalar:
    """Every element of the input goes into output channels of its group, times the kernel."""
    return _product(_dims(shapes, node.inputs, 0)) * _product(_dims(shapes, node.inputs, 1)[1:])


def _matmul(node: Node, shapes: Shapes) -> Scalar:
    return _product(_dims(shapes, node.outputs, 0)) * _dims(shapes, node.inputs, 0)[-1]


def _gemm(node: Node, shapes: Shapes) -> Scalar:
    a = _dims(shapes, node.inputs, 0)
    return _product(_dims(shapes, node.outputs, 0)) * a[-2 if node.attrs.get("transA", 0) else -1]


def _matmul_nbits(node: Node, shapes: Shapes) -> Scalar:
    return _product(_dims(shapes, node.outputs, 0)) * int(node.attrs["K"])


def _einsum(node: Node, shapes: Shapes) -> Scalar:
    """The product of the sizes of all letters; nothing where a single operand is only rearranged."""
    equation = node.attrs["equation"]
    equation = (equation.decode() if isinstance(equation, bytes) else equation).replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    if len(terms) == 1:
        return 0
    if "." in equation:
        raise _Unknown
    sizes: dict[str, Scalar] = {}
    for index, term in enumerate(terms):
        for letter, dim in zip(term, _dims(shapes, node.inputs, index), strict=False):
            sizes[letter] = dim if sizes.get(letter, 1) == 1 else sizes[letter]
    return _product(list(sizes.values())) * (len(terms) - 1)


def _recurrent(node: Node, shapes: Shapes) -> Scalar:
    """At each of the steps of each sequence, all of W and R."""
    steps = _product(_dims(shapes, node.inputs, 0)[:2])
    return steps * (_product(_dims(shapes, node.inputs, 1)) + _product(_dims(shapes, node.inputs, 2)))


def _attention(node: Node, shapes: Shapes) -> Scalar:
    """Q K^T and its product with V, whole: what a causal mask hides is counted."""
    q, k, v = (_dims(shapes, node.inputs, index) for index in range(3))
    past = _dims(shapes, node.inputs, 4)[2] if _given(node, 4) else 0
    batch, heads, steps, width = q if len(q) > _PACKED else _split(q, node.attrs["q_num_heads"])
    deep = v[-1] if len(q) > _PACKED else _split(v, node.attrs["kv_num_heads"])[-1]
    return batch * heads * steps * (k[-2] + past) * (width + deep)


def _split(dims: Sequence[Scalar], heads: int) -> tuple[Scalar, Scalar, Scalar, Scalar]:
    """Batch, heads, length and width of a packed input."""
    batch, length, hidden = dims
    if not isinstance(hidden, int):
        raise _Unknown
    return batch, heads, length, hidden // heads


def _multi_head_attention(node: Node, shapes: Shapes) -> Scalar:
    """com.microsoft's, on three-dimensional queries, keys and values without a past."""
    if _given(node, 6) or not (_given(node, 1) and _given(node, 2)):
        raise _Unknown
    q, k, v = (_dims(shapes, node.inputs, index) for index in range(3))
    if not len(q) == len(k) == len(v) == _PACKED:
        raise _Unknown
    return q[0] * q[1] * k[1] * (q[2] + v[2])


def _packed_attention(node: Node, shapes: Shapes) -> Scalar:
    """com.microsoft's, whose weights make Q, K and V of one input; without a past and of equal widths."""
    if _given(node, 4) or "qkv_hidden_sizes" in node.attrs:
        raise _Unknown
    x, w, y = _dims(shapes, node.inputs, 0), _dims(shapes, node.inputs, 1), _dims(shapes, node.outputs, 0)
    return x[0] * x[1] * (_product(w) + 2 * x[1] * y[-1])


TABLE: dict[str, Formula] = {
    "Conv": _conv(),
    "ConvInteger": _conv(),
    "DeformConv": _conv(),
    "QLinearConv": _conv(3),
    "ConvTranspose": _conv_transpose,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "RNN": _recurrent,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "Attention": _attention,
    "com.microsoft.FusedConv": _conv(),
    "com.microsoft.FusedGemm": _gemm,
    "com.microsoft.QGemm": _gemm,
    "com.microsoft.FusedMatMul": _gemm,
    "com.microsoft.MatMulNBits": _matmul_nbits,
    "com.microsoft.DynamicQuantizeMatMul": _matmul,
    "com.microsoft.MatMulIntegerToFloat": _matmul,
    "com.microsoft.MultiHeadAttention": _multi_head_attention,
    "com.microsoft.Attention": _packed_attention,
}
"""Operator ("Conv", "com.microsoft.FusedConv") to the formula of its multiply-accumulates."""
