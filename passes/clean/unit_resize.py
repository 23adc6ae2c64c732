"""Resizes to the size that the tensor already has."""

from __future__ import annotations

from graphopt import Builder, Exact, Match, Rest, Value, op, rule
from graphopt.ir.types import Tensor
from graphopt.ir.values import given
from passes.clean.guards import all_equal, same_shape, take

x, rest = Value("x"), Rest("roi, scales and sizes")
node = op.one_of("Resize", "Upsample")(x, rest)
SIZES = 3
MOVING = ("tf_crop_and_resize", "tf_half_pixel_for_nn")
"""Ways of placing pixels that move them even at scale 1."""


@rule(node, numerics=Exact())
def unit_resize(m: Match, _: Builder) -> Tensor:
    """Resize(x) or Upsample(x) with scale 1 is x."""
    inputs = m[node].inputs
    m.require(m.attr(node, "coordinate_transformation_mode") not in MOVING, "it moves pixels even at scale 1")
    if "scales" in m[node].attrs:
        unit = all(scale == 1 for scale in m.attr(node, "scales"))
    elif given(m[node], SIZES) is not None:
        unit = m.attr(node, "keep_aspect_ratio_policy") in (None, "stretch")
    else:
        unit = all_equal(m, (inputs[2:] or inputs[1:])[0], 1)
    m.require(unit, "a scale is not 1, or unknown")
    m.require(same_shape(m, x, node), "the shape changes, or is unknown")
    return take(m, x)
