"""Products of matrices as ONNX Runtime's own operators have them, and several at once."""

from __future__ import annotations

from passes.blocks.linear.fused_gemm import gemm_activation
from passes.blocks.linear.fused_matmul import scaled_operand, scaled_product, transposed_operand
from passes.blocks.linear.merged import merged_products
from passes.blocks.linear.sum import sum_of_three

RULES = (transposed_operand, scaled_product, scaled_operand, gemm_activation, sum_of_three)
OPTIONAL = (merged_products,)
"""On the CPU, one wide product gains up to a tenth for a few rows, and loses up to a quarter for many."""

__all__ = [
    "OPTIONAL",
    "RULES",
    "gemm_activation",
    "merged_products",
    "scaled_operand",
    "scaled_product",
    "sum_of_three",
    "transposed_operand",
]
