"""Smaller pictures for the check of a region: what windows compute is the same wherever they are.

A picture is a tensor `[batch, channels, ...]` along whose other axes only windows move (convolutions and pooling),
besides operators on single elements. Pictures are cut by multiples of all strides, so that sizes are rounded as they
are in full, down to about a window and a border.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from graphopt.ir.types import Constant, Graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphopt.ir.types import Tensor
    from graphopt.numerics.region import Call

    Shape = tuple[int, ...]
    Strides = tuple[Fraction, ...]

MICROSOFT = "com.microsoft"
WINDOWS = frozenset({
    *(("", op) for op in ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool")),
    (MICROSOFT, "FusedConv"),
})  # fmt: skip
"""Operators that move a window over their first input; what else they read are weights."""
ELEMENTWISE = frozenset({
    *(("", op) for op in ("Add", "Sub", "Mul", "Div", "Sum", "Mean", "Max", "Min", "Pow", "PRelu", "Clip", "Cast")),
    *(("", op) for op in ("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Mish", "Swish", "ThresholdedRelu")),
    *(("", op) for op in ("Sigmoid", "HardSigmoid", "HardSwish", "Softplus", "Softsign", "Erf", "Tanh", "Identity")),
    *(("", op) for op in ("Exp", "Log", "Sqrt", "Abs", "Neg")),
    *((MICROSOFT, op) for op in ("Gelu", "FastGelu", "QuickGelu")),
})  # fmt: skip
"""Operators on single elements of pictures of one size; what else they read is the same all over a picture."""
CHANNELWISE = frozenset({("", "BatchNormalization")})
"""Operators on single elements of their first input; what else they read has an element for each channel."""

FIRST = 2
"""The first of the axes along which windows move."""
BORDER = 4
"""Elements that are left along each of them, besides those of the largest window."""


def smaller(calls: Iterable[Call], fed: Mapping[Tensor, Shape], wanted: Mapping[Tensor, Shape]) -> dict[Tensor, Shape]:
    """Shapes for the pictures among `fed`, no larger than their own; empty where a call does other things to them.

    calls: of one or more graphs that are fed the same, each in topological order.
    fed, wanted: what is fed besides constants, and what is computed, with their shapes.
    """
    rank = max(map(len, fed.values()), default=0)
    pictures = {tensor: shape for tensor, shape in fed.items() if any(size > 1 for size in shape[FIRST - rank :])}
    if rank <= FIRST or not pictures or any(len(shape) < rank for shape in pictures.values()):
        return {}
    scene = _Scene(rank - FIRST, set(pictures), fed.keys() - pictures)
    if not all(map(scene.holds, calls)) or scene.unread:
        return {}
    sizes = [
        (shape, scene.strides[tensor]) for tensor, shape in {**pictures, **wanted}.items() if tensor in scene.strides
    ]
    cut = [
        _cut([(shape[FIRST + axis], strides[axis]) for shape, strides in sizes], window + BORDER)
        for axis, window in enumerate(scene.windows)
    ]
    return {tensor: _without(shape, cut, scene.strides[tensor]) for tensor, shape in pictures.items()}


def _cut(sizes: Sequence[tuple[int, Fraction]], least: int) -> int:
    """How many elements of stride 1 all sizes lose, so that none gets less than `least` and each loses whole ones."""
    unit = math.lcm(*(stride.numerator for _, stride in sizes))
    return min(max(0, math.floor((size - least) * stride)) // unit * unit for size, stride in sizes)


def _without(shape: Shape, cut: Sequence[int], strides: Strides) -> Shape:
    axes = zip(shape[FIRST:], cut, strides, strict=True)
    return (*shape[:FIRST], *(size - int(lost / stride) for size, lost, stride in axes))


class _Scene:
    """The pictures of a region, as far as its calls have been followed.

    strides: how far apart the elements of each picture are, in those of the first ones, by axis.
    unread: pictures that are fed, and read by no call so far. uniform: other tensors, the same all over a picture.
    weights: tensors that are computed from constants. windows: the extent of the largest window along each axis.
    """

    def __init__(self, axes: int, unread: set[Tensor], uniform: set[Tensor]) -> None:
        self.strides: dict[Tensor, Strides] = {}
        self.unread, self.uniform = unread, uniform
        self.weights: set[Tensor] = set()
        self.windows = [1] * axes

    def holds(self, call: Call) -> bool:
        """Follow the pictures through a call; whether it does to them what it would do to smaller ones."""
        if any(isinstance(value, Graph) for value in call.attrs.values()):
            return False  # it may read pictures that are not among its inputs
        read = [tensor for tensor in call.inputs if tensor.name]
        made = [tensor for tensor in call.outputs if tensor.name]
        if all(map(self._is_weight, read)):
            self.weights.update(made)
            return True
        strides = self._left((call.domain, call.op), call, read) if len(made) == 1 else None
        if strides is not None:
            self.strides[made[0]] = strides
        return strides is not None

    def _left(self, operator: tuple[str, str], call: Call, read: list[Tensor]) -> Strides | None:
        """The strides of what a call gives; None if it is no operator on pictures."""
        if operator in ELEMENTWISE:
            return self._common([tensor for tensor in read if not self._is_uniform(tensor)])
        if not all(map(self._is_weight, read[1:])):
            return None
        strides = self._common(read[:1])
        if strides is None or operator in CHANNELWISE:
            return strides
        return self._moved(call, strides) if operator in WINDOWS else None

    def _common(self, pictures: list[Tensor]) -> Strides | None:
        """The strides that all of these have; those that no call has read yet have what the others do."""
        found = {self.strides[tensor] for tensor in pictures if tensor in self.strides}
        if len(found) > 1 or not pictures or any(t not in self.strides and t not in self.unread for t in pictures):
            return None
        strides = found.pop() if found else tuple(Fraction(1) for _ in self.windows)
        for tensor in self.unread.intersection(pictures):
            self.strides[tensor] = strides
            self.unread.remove(tensor)
        return strides

    def _moved(self, call: Call, strides: Strides) -> Strides | None:
        """The strides behind a window that moves over a picture."""
        weights = call.inputs[1] if len(call.inputs) > 1 else None
        kernel = self._numbers(call, "kernel_shape", weights.shape[FIRST:] if isinstance(weights, Constant) else ())
        steps, dilations = (self._numbers(call, name, [1] * len(strides)) for name in ("strides", "dilations"))
        if not (kernel and steps and dilations) or "output_shape" in call.attrs:
            return None
        self.windows = [max(w, 1 + (k - 1) * d) for w, k, d in zip(self.windows, kernel, dilations, strict=True)]
        factors = [Fraction(1, step) if call.op == "ConvTranspose" else Fraction(step) for step in steps]
        return tuple(stride * factor for stride, factor in zip(strides, factors, strict=True))

    def _numbers(self, call: Call, name: str, default: Sequence[int]) -> Sequence[int]:
        """An attribute that has a number for each axis; none of them if it has not."""
        held = call.attrs.get(name, default)
        fits = isinstance(held, Sequence) and len(held) == len(self.windows)
        return held if fits and all(isinstance(number, int) and number > 0 for number in held) else ()

    def _is_weight(self, tensor: Tensor) -> bool:
        return isinstance(tensor, Constant) or tensor in self.weights

    def _is_uniform(self, tensor: Tensor) -> bool:
        """Whether a tensor is the same all over a picture."""
        if not isinstance(tensor, Constant):
            return tensor in self.uniform
        return all(size == 1 for size in tensor.shape[-len(self.windows) :])
