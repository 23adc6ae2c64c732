"""Which operators a target computes in integers, and under what conditions: tables.

`tests/passes/quant/test_kernels.py` holds each line of the tables for ONNX Runtime's CPU provider against the runtime
that is installed: what a line says does fire, and no operator that is not listed does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from graphopt.ir.dtypes import DType
from passes.quant.grid import INT8, UINT8


class Role(StrEnum):
    """What an integer kernel does with the grids of its operands."""

    PRODUCT = "product"
    """Multiplies with weights and accumulates: what quantisation is for."""
    POINT = "point"
    """Computes element by element, or over a window, from the grids of its operands to one of its own."""
    MOVE = "move"
    """Only moves elements: its result has the grid of its operand."""


@dataclass(frozen=True)
class Kernel:
    """An operator that a target can compute in integers.

    data: the positions of the operands that are activations; all of them if None.
    weight, bias: the positions of the operands that are constants, if there are such.
    axes: the axis of the weight along which scales may differ, for each value of the attribute `turned`.
    linear: the operator of the QOperator format, with its domain.
    integer, floating: nanoseconds for each element of the output, as order of magnitude: they decide where the border
        between integers and floats runs.
    """

    role: Role
    data: tuple[int, ...] | None = (0,)
    weight: int | None = None
    bias: int | None = None
    axes: tuple[int, int] = (0, 0)
    turned: str = ""
    linear: str = ""
    domain: str = "com.microsoft"
    integer: float = 0.1
    floating: float = 0.3


@dataclass(frozen=True)
class Integers:
    """How a target computes in integers.

    activation, weight: the types of both. symmetric: whether activations need their zero in the middle.
    bits: of the weights that are used. channels: whether weights may have a scale for each output channel.
    requantises: whether a kernel writes integers, so that its result needs a QuantizeLinear; else it takes integers
        and gives floats, and its result is quantised by whom it concerns.
    saturates: whether sums of two products are cut at 16 bits.
    fours: whether convolutions take channels in fours, and depthwise ones in sixteens, and are slow on others.
    tiles: whether matrix products run on tiles (AMX), and convolutions as such products may be faster.
    """

    name: str
    doc: str
    kernels: Mapping[str, Kernel]
    activation: DType = UINT8
    weight: DType = INT8
    symmetric: bool = False
    bits: int = 8
    channels: bool = True
    requantises: bool = True
    saturates: bool = False
    fours: bool = False
    tiles: bool = False
    lacking: str = ""


PRODUCT, POINT, MOVE = Role.PRODUCT, Role.POINT, Role.MOVE
BOTH = (0, 1)

ORT_CPU: dict[str, Kernel] = {
    "Conv": Kernel(PRODUCT, (0,), 1, 2, linear="QLinearConv", domain=""),
    "Gemm": Kernel(PRODUCT, (0,), 1, 2, axes=(1, 0), turned="transB", linear="QGemm"),
    "MatMul": Kernel(PRODUCT, (0,), 1, axes=(-1, -1), linear="QLinearMatMul", domain=""),
    "Add": Kernel(POINT, BOTH, linear="QLinearAdd"),
    "Mul": Kernel(POINT, BOTH, linear="QLinearMul"),
    "AveragePool": Kernel(POINT, linear="QLinearAveragePool"),
    "GlobalAveragePool": Kernel(POINT, linear="QLinearGlobalAveragePool"),
    "LeakyRelu": Kernel(POINT, linear="QLinearLeakyRelu"),
    "Sigmoid": Kernel(POINT, linear="QLinearSigmoid", integer=0.3, floating=0.8),
    "Softmax": Kernel(POINT, linear="QLinearSoftmax", integer=1.0, floating=1.2),
    "Concat": Kernel(POINT, None, linear="QLinearConcat"),
    "Where": Kernel(POINT, (1, 2), linear="QLinearWhere", integer=0.5),
    **dict.fromkeys(
        (
            "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather", "GatherElements", "Expand",
            "Tile", "Resize", "DepthToSpace", "MaxPool", "ReduceMax", "Split",
        ),
        Kernel(MOVE),
    ),
}  # fmt: skip
"""ONNX Runtime's CPU provider, with activations of 8 bits."""

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""Moves that cost nothing in whatever type."""

TENSORRT: dict[str, Kernel] = {
    "Conv": Kernel(PRODUCT, (0,), 1),
    "ConvTranspose": Kernel(PRODUCT, (0,), 1, axes=(1, 1)),
    "Gemm": Kernel(PRODUCT, (0,), 1, axes=(1, 0), turned="transB"),
    "MatMul": Kernel(PRODUCT, (0,), 1, axes=(-1, -1)),
    "Add": Kernel(POINT, BOTH),
    "AveragePool": Kernel(POINT),
    "GlobalAveragePool": Kernel(POINT),
}
"""TensorRT's placement rules: inputs of products, and both sides of an addition; biases and results stay float."""

X64_VNNI = Integers("x64-vnni", "x86 with VNNI: U8 activations, S8 weights, exact 32-bit sums", ORT_CPU, fours=True)
X64_AMX = replace(
    X64_VNNI, name="x64-amx", doc="x86 with AMX: as with VNNI, and large products run on tiles", tiles=True
)
X64_AVX2 = replace(
    X64_VNNI,
    name="x64-avx2",
    doc="x86 without VNNI: sums of two products saturate in 16 bits, so weights have 7 bits",
    bits=7,
    saturates=True,
)
X64_ANY = replace(X64_AVX2, name="x64-any", doc="any x86: right without VNNI, and fast with it")
ARM64 = Integers("arm64", "ARM with or without dot products: S8 activations and weights", ORT_CPU, activation=INT8)
CUDA = Integers(
    "cuda", "ONNX Runtime's CUDA provider", {}, INT8, symmetric=True,
    lacking="ONNX Runtime's CUDA provider computes no network in int8: the target tensorrt does, and weight-only "
    "schemes and fp16 run on cuda",
)  # fmt: skip
TRT = Integers(
    "tensorrt", "TensorRT: symmetric S8 activations and weights", TENSORRT, INT8, symmetric=True, requantises=False
)

TABLES: Mapping[str, Integers] = {one.name: one for one in (X64_VNNI, X64_AVX2, X64_ANY, ARM64, CUDA, TRT)}
"""By the name of the target."""
