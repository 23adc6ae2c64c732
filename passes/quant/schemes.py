"""The schemes of quantisation: a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from graphopt.pipeline.context import Context
from passes.quant.options import Settings

Run = Callable[[Context, Settings], None]


@dataclass(frozen=True)
class Scheme:
    """One way to quantise.

    where: the module and the function that does it, `module:function`, imported when it is used. needs_data: whether
    it cannot do without calibration data.
    """

    name: str
    doc: str
    where: str
    needs_data: bool = False

    @property
    def run(self) -> Run:
        """The function that does it."""
        module, _, function = self.where.partition(":")
        found: Run = getattr(import_module(module), function)
        return found


_ALL = (
    Scheme(
        "static",
        "activations and weights in 8-bit integers, on calibrated grids",
        "passes.quant.static:run",
        needs_data=True,
    ),
    Scheme(
        "static16",
        "activations in 16-bit integers, weights in 8, for runtimes that have kernels for that",
        "passes.quant.static:run",
        needs_data=True,
    ),
    Scheme(
        "dynamic",
        "products in 8-bit integers, their activations on grids that are found while the model runs",
        "passes.quant.dynamic:run",
    ),
    Scheme("int8", "weights in 8 bits, activations in floats", "passes.quant.weight_only.run:run"),
    Scheme("int4", "weights of products in 4 bits, activations in floats", "passes.quant.weight_only.run:run"),
    Scheme("int2", "weights of products in 2 bits, activations in floats", "passes.quant.weight_only.run:run"),
    Scheme("ternary", "weights of products are -s, 0 or s, in 2 bits", "passes.quant.weight_only.run:run"),
    Scheme("binary", "weights of products are -s or s, in 2 bits", "passes.quant.weight_only.run:run"),
    Scheme("codebook", "weights are positions in a table of 16, for a smaller file", "passes.quant.expanded:codebook"),
    Scheme("fp8", "weights in 8-bit floats, for a smaller file", "passes.quant.expanded:float8"),
)

SCHEMES: Mapping[str, Scheme] = {scheme.name: scheme for scheme in _ALL}
"""By name."""
