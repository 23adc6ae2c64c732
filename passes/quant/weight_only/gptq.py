"""GPTQ (Frantar, Ashkboos, Hoefler and Alistarh, 2022): what rounding a row takes away, the rows after it make good.

For vectors with the Gram matrix H the error of a product is quadratic, so the best change of the rows that are still
free follows from a Cholesky factor of the inverse of H.
"""

from __future__ import annotations

import numpy as np

from graphopt.ir.types import Array
from passes.quant.weight_only.blocked import Blocked, Choice, Format, extremes, in_blocks

DAMPING = 0.01
"""What is added to the diagonal of H, in parts of its mean: keeps rows that are nearly unused from swinging."""


def compensated(matrix: Array, fmt: Format, gram: Array, choice: Choice = extremes) -> Blocked:
    """A matrix (rows, columns) in blocks, for vectors with this Gram matrix (rows, rows)."""
    rows = matrix.shape[0]
    weights = np.array(matrix, np.float32)
    factor = _factor(gram)
    weights[np.diagonal(gram) <= 0] = 0
    result = Blocked.empty(matrix.shape, fmt)
    for top in range(0, rows, fmt.block):
        end = min(top + fmt.block, rows)
        scales, zeros = choice(in_blocks(weights[top:end], fmt.block), fmt)
        codes, errors = _rounded(weights[top:end], factor[top:end, top:end], scales[0], zeros[0], fmt)
        weights[end:] -= factor[top:end, end:].T @ errors
        filler = np.repeat(zeros.astype(np.uint8), fmt.block - (end - top), axis=0)
        whole = np.concatenate([codes, filler])[None]
        result.put(slice(top, top + fmt.block), slice(0, matrix.shape[1]), whole, scales, zeros)
    return result


def _rounded(part: Array, factor: Array, scales: Array, zeros: Array, fmt: Format) -> tuple[Array, Array]:
    """The integers of a block, uint8 (rows, columns), and the errors that rows outside it are to make good."""
    codes, errors = np.empty(part.shape, np.uint8), np.empty_like(part)
    for row in range(len(part)):
        steps = np.clip(np.rint(part[row] / scales + zeros), 0, fmt.top)
        codes[row] = steps.astype(np.uint8)
        errors[row] = (part[row] - (steps - zeros) * scales) / factor[row, row]
        part[row + 1 :] -= np.outer(factor[row, row + 1 :], errors[row])
    return codes, errors


def _factor(gram: Array) -> Array:
    """The upper triangular U with U' U the inverse of the damped matrix, float32; rows that are unused are apart."""
    damped = gram.copy()
    diagonal = np.einsum("ii->i", damped)
    diagonal[diagonal <= 0] = 1.0
    diagonal += DAMPING * diagonal.mean()
    factor: Array = np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
    return factor
