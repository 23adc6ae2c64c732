"""A model as a function of PyTorch, through which gradients go back to its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Tensor
from passes.distill.network.operators.quantized import integer_range, rounded
from passes.distill.network.operators.shaping import from_numpy
from passes.distill.network.program import Program
from passes.distill.network.trainable import Weight, weights

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Grid:
    """The numbers on which a quantised weight lies: (steps - zero) scale, with whole steps from low to high."""

    scale: torch.Tensor
    zero: torch.Tensor
    low: int
    high: int

    def steps(self, weight: torch.Tensor) -> torch.Tensor:
        """The steps nearest to a weight, held as floats; gradients pass straight through."""
        return torch.clamp(rounded(weight / self.scale) + self.zero, self.low, self.high)

    def value(self, steps: torch.Tensor) -> torch.Tensor:
        """The weight that steps stand for."""
        return (steps.to(self.scale.dtype) - self.zero) * self.scale


@dataclass(frozen=True)
class Held:
    """A weight in the graph, its grid if it is quantised, and the dtype in which the graph computes with it."""

    weight: Weight
    grid: Grid | None
    dtype: torch.dtype

    def used(self, value: torch.Tensor) -> torch.Tensor:
        """What the graph sees for a value."""
        return value.to(self.dtype) if self.grid is None else self.grid.steps(value)


class Network:
    """A model that runs in PyTorch.

    weights: what training may change, by name, as float32: their real values, for quantised ones too. At first they are
    what the model holds.

    Raises NotDifferentiableError, naming them, for operators that are not in the table.
    """

    def __init__(self, model: Model) -> None:
        found = weights(model.graph)
        self._held = {weight.tensor.name: _held(weight) for weight in found}
        self._program = Program(model.graph, model.opsets, [weight.tensor for weight in found])
        self._defaults = {tensor: from_numpy(held.values) for tensor, held in model.graph.defaults.items()}
        self._inputs = {tensor.name: tensor for tensor in model.graph.inputs}
        self.outputs = {tensor.name: tensor for tensor in model.graph.outputs}
        self.weights: dict[str, torch.Tensor] = {name: _value(held) for name, held in self._held.items()}

    @property
    def constants(self) -> dict[str, Constant]:
        """What holds each weight in the model."""
        return {name: held.weight.constant for name, held in self._held.items()}

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Everything that it computes or holds, by name."""
        return {tensor.name: tensor for tensor in self._program.places}

    def __call__(
        self, feeds: Tensors, also: Iterable[Tensor] = (), given: Tensors | None = None
    ) -> dict[str, torch.Tensor]:
        """The outputs, and the tensors in `also`, by name, for inputs by name.

        given: the weights to compute with, by default those of the network.
        """
        wanted = [*self.outputs.values(), *also]
        values = {
            self._held[name].weight.tensor: self._held[name].used(value)
            for name, value in (given or self.weights).items()
        }
        values |= self._defaults | {self._inputs[name]: value for name, value in feeds.items()}
        return dict(zip((tensor.name for tensor in wanted), self._program.run(values, wanted), strict=True))

    def arrays(self, given: Tensors) -> dict[Constant, Array]:
        """What the constants of the model are to hold for these weights, of their own shapes and dtypes."""
        return {
            self._held[name].weight.constant: _array(self._held[name], value.detach()) for name, value in given.items()
        }


def _held(weight: Weight) -> Held:
    if weight.scale is None:
        return Held(weight, None, from_numpy(weight.constant.values[..., :0]).dtype)
    scale = from_numpy(weight.scale.values)
    zero = torch.zeros((), dtype=scale.dtype) if weight.zero is None else from_numpy(weight.zero.values).to(scale.dtype)
    shape = [1] * len(weight.constant.shape)
    if scale.numel() > 1:
        shape[weight.axis] = -1
    scale, zero = (one.reshape(shape if one.numel() > 1 else ()) for one in (scale, zero))
    return Held(weight, Grid(scale, zero, *integer_range(weight.constant)), scale.dtype)


def _value(held: Held) -> torch.Tensor:
    stored = from_numpy(held.weight.constant.values)
    return (stored if held.grid is None else held.grid.value(stored)).float()


def _array(held: Held, value: torch.Tensor) -> Array:
    exact = value.double() if held.grid is None else held.grid.steps(value).double()
    found: Array = exact.contiguous().numpy().astype(held.weight.constant.dtype)
    return found
