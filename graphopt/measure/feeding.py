"""What models are fed while they are timed: inputs that are drawn, given, or taken from data, for one batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.analysis.binding import binding_of, default_binding, uniform_bindings
from graphopt.analysis.shapes import Shapes
from graphopt.analysis.symbolic import symbols
from graphopt.errors import UsageError
from graphopt.ir import dtypes
from graphopt.ir.dtypes import DType
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor
from graphopt.ir.words import listed, quoted
from graphopt.measure.environment import memory
from graphopt.numerics.feeds import FeedPlan, InputSpec
from graphopt.numerics.inputs import Feeds, fitting, input_specs, required
from graphopt.numerics.region import Unverifiable
from graphopt.numerics.values import Array

MOST_MEMORY = 1 / 4
"""Of the machine's: inputs that are larger are refused before anything is done."""


@dataclass(frozen=True)
class Feeding:
    """Inputs of one batch. types: such as `float[1, 3, 224, 224]`, by input. sizes: of the free dimensions.

    assumed: free dimensions whose size nobody gave. samples: in one run.
    """

    feeds: Feeds | FeedPlan
    types: dict[str, str]
    sizes: dict[str, int]
    assumed: tuple[str, ...]
    samples: int


def drawings(model: Model, batch: int | None, sizes: Mapping[str, int], seed: int) -> list[Feeding]:
    """Ways to draw inputs, the likeliest to run first: free dimensions have the given sizes, others small ones.

    batch: of the dimensions that hold samples; by default 1, or what the other free ones have.
    Raises UsageError for sizes or a batch that do not fit, and where types or ranks of inputs are not known.
    """
    shapes = Shapes(model)
    free = _free(model, shapes)
    for name in sizes.keys() - free.keys():
        raise UsageError(f"{model.path} has no free dimension {quoted(name)}; it has {listed(free) or 'none'}")
    holding = [name for name in _samples(model, shapes) if name not in sizes]
    if batch is not None and not holding:
        _check_fixed(model, shapes, batch, sizes)
    said = {**dict.fromkeys(holding, batch or 1), **sizes}
    uniform = uniform_bindings(model)
    ways = [{**way, **said} for way in (default_binding(model, shapes=shapes), *uniform)]
    if batch is None:
        ways += [{**way, **sizes} for way in uniform]
    different = {tuple(way.items()): way for way in ways}.values()
    return [_drawn(model, way, tuple(n for n in free if way[n] != said.get(n)), seed) for way in different]


def given(model: Model, name: str, feeds: Feeds, batch: int | None) -> Feeding:
    """Inputs out of `feeds`, called `name`; with a batch, samples are repeated or left out until there are as many.

    Raises UsageError where they do not fit.
    """
    fit = fitting(model, name, feeds)
    shapes = Shapes(model)
    if batch is not None:
        holding = set(_samples(model, shapes))
        if not holding:
            _check_fixed(model, shapes, batch, {})
        scaled = [t.name for t in model.graph.inputs if t.name in fit and _first(t, shapes) in holding]
        fit = {key: _repeated(name, key, array, batch) if key in scaled else array for key, array in fit.items()}
    sizes = binding_of(model, {key: array.shape for key, array in fit.items()})
    types = {key: _spelled(array.dtype, array.shape) for key, array in fit.items()}
    return Feeding(fit, types, sizes, (), _count(model, {key: array.shape for key, array in fit.items()}))


def check_same(first: Model, other: Model, feeding: Feeding) -> None:
    """Raises UsageError if the inputs of one model do not fit another."""
    arrays = feeding.feeds
    if isinstance(arrays, FeedPlan):
        arrays = {one.name: np.broadcast_to(np.zeros((), one.dtype), one.shape) for one in arrays.inputs}
    try:
        fitting(other, f"what {first.path} is fed", arrays)
    except UsageError as error:
        raise UsageError(f"{other.path} does not take the inputs of {first.path}: {error}") from error


def _drawn(model: Model, binding: Mapping[str, int], assumed: tuple[str, ...], seed: int) -> Feeding:
    try:
        specs = input_specs(model, Shapes(model, binding))
    except Unverifiable as reason:
        raise UsageError(f"no inputs can be made up for {model.path}: {reason}; give some with --feeds") from reason
    _check_memory(model, specs)
    types = {spec.name: _spelled(spec.dtype, spec.shape) for spec in specs}
    samples = _count(model, {spec.name: spec.shape for spec in specs})
    return Feeding(FeedPlan(specs, seed), types, dict(binding), assumed, samples)


def _check_memory(model: Model, specs: Sequence[InputSpec]) -> None:
    needed = sum(float(np.prod(spec.shape, dtype=np.float64)) * spec.dtype.itemsize for spec in specs)
    most = (memory() or 1 << 34) * MOST_MEMORY
    if needed > most:
        raise UsageError(f"the inputs of {model.path} would take {needed / 1e9:,.1f} GB: choose smaller sizes")


def _free(model: Model, shapes: Shapes) -> dict[str, None]:
    """The free dimensions of the inputs that must be fed."""
    dims = [dim for tensor in required(model).values() for dim in shapes.dims(tensor) or () if dim is not None]
    return dict.fromkeys(name for dim in dims for name in sorted(symbols(dim)))


def _samples(model: Model, shapes: Shapes) -> list[str]:
    """Free dimensions along which samples lie: the first axes, or those among them that are called a batch."""
    first = [name for tensor in required(model).values() if (name := _first(tensor, shapes))]
    return list(dict.fromkeys([name for name in first if "batch" in name.lower()] or first))


def _first(tensor: Tensor, shapes: Shapes) -> str:
    """The name of the first axis of a tensor, if it is a free dimension."""
    dims = shapes.dims(tensor)
    names = symbols((dims[0] if dims else None) or 0)
    return next(iter(names)) if len(names) == 1 else ""


def _check_fixed(model: Model, shapes: Shapes, batch: int, sizes: Mapping[str, int]) -> None:
    """Raises UsageError if no input has a first axis of `batch`."""
    for tensor in required(model).values():
        dims = shapes.shape(tensor)
        if dims and (sizes.get(str(dims[0])) or dims[0]) != batch:
            raise UsageError(
                f"{model.path} cannot run a batch of {batch}: input {quoted(tensor.name)} has the shape {list(dims)}"
            )


def _repeated(name: str, key: str, array: Array, batch: int) -> Array:
    if not len(array):
        raise UsageError(f"{name}: {quoted(key)} holds no samples")
    needed = batch * array[:1].nbytes
    if needed > (memory() or 1 << 34) * MOST_MEMORY:
        raise UsageError(f"{name}: {quoted(key)} would take {needed / 1e9:,.1f} GB in a batch of {batch}")
    return array[np.arange(batch) % len(array)]


def _count(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Samples in one run: the size of the first axis of the first input that has one."""
    return next((shapes[name][0] for name in required(model) if shapes.get(name)), 1)


def _spelled(dtype: DType, shape: Sequence[int]) -> str:
    return f"{dtypes.name(dtype)}{list(shape)}"
