"""All operators that a network can be run with."""

from __future__ import annotations

from collections.abc import Mapping

from passes.distill.network.call import Operator
from passes.distill.network.operators import (
    attention,
    elementwise,
    normal,
    products,
    quantized,
    recurrent,
    reductions,
    resizing,
    shaping,
    windows,
)

_STANDARD = (attention, elementwise, normal, products, quantized, recurrent, reductions, resizing, shaping, windows)
_CONTRIB = (attention, elementwise, normal, products, quantized, windows)

TABLE: Mapping[tuple[str, str], Operator] = {
    **{("", name): run for family in _STANDARD for name, run in family.OPERATORS.items()},
    **{("com.microsoft", name): run for family in _CONTRIB for name, run in family.CONTRIB.items()},
}
"""By domain and name."""
