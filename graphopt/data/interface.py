"""What data has to know of a model: its inputs, and how they hold samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from graphopt.analysis.shapes import ANONYMOUS
from graphopt.errors import ModelError, UsageError
from graphopt.ir.dtypes import DType
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Dim, Tensor, Variable
from graphopt.ir.words import quoted

Shape = tuple[int | str | None, ...]
"""Dimensions: a number, the name of a free one, or None for any number."""


@dataclass(frozen=True)
class Port:
    """An input or output of a model; dtype or shape is None where the model does not say it."""

    name: str
    dtype: DType | None
    shape: Shape | None

    def __str__(self) -> str:
        dims = "?" if self.shape is None else ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{quoted(self.name)} [{dims}]"


@dataclass(frozen=True)
class Interface:
    """What a model takes and gives. optional: names of the inputs that have a default."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    optional: frozenset[str] = frozenset()

    @property
    def required(self) -> tuple[Port, ...]:
        """The inputs that must be fed."""
        return tuple(port for port in self.inputs if port.name not in self.optional)

    @property
    def batched(self) -> bool:
        """Whether the first axis of every input may hold samples.

        It does not if an input is a scalar, if the first axes have different numbers, or if the free dimension that is
        the first axis of one input is another axis of the next.
        """
        shapes = [port.shape for port in self.required if port.shape is not None]
        if not all(shapes) or len({shape[0] for shape in shapes if isinstance(shape[0], int)}) > 1:
            return False
        first = {shape[0] for shape in shapes if isinstance(shape[0], str)}
        return not any(first & set(shape[1:]) - {shape[0]} for shape in shapes)

    @property
    def batch(self) -> int | None:
        """The number of samples that the model was exported for, or None if it takes any."""
        if not self.batched:
            return 1
        sizes = [port.shape[0] for port in self.required if port.shape]
        return next((size for size in sizes if isinstance(size, int)), None)


def interface(model: Model | str | Path, name: str = "") -> Interface:
    """The interface of a model, by default called after its file.

    Raises ModelError for inputs that are no tensors: no file has data for those.
    """
    held = model if isinstance(model, Model) else load(Path(model))
    name = name or str(held.path or held.graph.name or "the model")
    for tensor in held.graph.inputs:
        if tensor.type != "tensor_type" and tensor not in held.graph.defaults:
            raise ModelError(f"{name}: input {quoted(tensor.name)} is no tensor, so that it cannot be fed from data")
    optional = frozenset(tensor.name for tensor in held.graph.defaults)
    return Interface(name, _ports(held.graph.inputs), _ports(held.graph.outputs), optional)


def _ports(tensors: Sequence[Tensor | Variable]) -> tuple[Port, ...]:
    return tuple(Port(tensor.name, tensor.dtype, _shape(tensor.shape)) for tensor in tensors)


def _shape(shape: Sequence[Dim] | None) -> Shape | None:
    """A declared shape, without the names and numbers that exporters write for "some dimension"."""
    if shape is None:
        return None
    return tuple(None if dim in ANONYMOUS or (isinstance(dim, int) and dim < 0) else dim for dim in shape)


def same_inputs(first: Interface, other: Interface) -> None:
    """Raises UsageError unless data for the first model can be fed to the other."""
    there = {port.name: port for port in other.inputs}
    for port in first.required:
        match = there.get(port.name)
        if match is None:
            raise UsageError(f"{other.name} has no input {quoted(port.name)}, which {first.name} has")
        if match.dtype != port.dtype or not _overlap(match.shape, port.shape):
            raise UsageError(
                f"input {quoted(port.name)} is {port.dtype} {port} in {first.name} and {match.dtype} {match} in "
                f"{other.name}: they cannot be fed the same data"
            )
    for port in other.required:
        if port.name not in {one.name for one in first.inputs}:
            raise UsageError(f"{other.name} needs an input {quoted(port.name)}, which {first.name} does not have")


def _overlap(one: Shape | None, other: Shape | None) -> bool:
    """Whether some shape is allowed by both, the batch aside."""
    if one is None or other is None:
        return True
    both = zip(one[1:], other[1:], strict=False)
    return len(one) == len(other) and all(a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in both)
