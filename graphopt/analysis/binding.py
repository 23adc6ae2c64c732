"""Small numbers for the free dimensions of a model, with which it can run."""

from __future__ import annotations

from itertools import pairwise
from math import lcm
from typing import TYPE_CHECKING

from graphopt.analysis.operators.layout import product
from graphopt.analysis.order import evaluate
from graphopt.analysis.shapes import Shapes
from graphopt.analysis.symbolic import Expression, symbols
from graphopt.analysis.types import all_known
from graphopt.errors import UsageError
from graphopt.ir.walk import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphopt.analysis.symbolic import Scalar
    from graphopt.analysis.types import Dims
    from graphopt.ir.model import Model
    from graphopt.ir.types import Node

STEPS = 4000
"""Attempts to satisfy the model before the first numbers are taken as they were: the last ones may be huge."""

ALIGNED = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Pow", "Where", "Equal", "Less", "Greater"})

RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
FIRST_STATE = 5
"""The input of recurrent operators from which on states, with the batch of the first input, may follow."""

UNIFORM = (1, 4, 16, 64, 256)
"""Numbers for all free dimensions at once, for models that no other binding fits; 256 is a window of sound."""


def default_binding(
    model: Model, first: int = 2, avoid: Mapping[str, int] | None = None, shapes: Shapes | None = None
) -> dict[str, int]:
    """Small distinct numbers, `first` and up, for the named dimensions of the graph inputs.

    They grow until, as far as the analysis sees, every tensor has a positive size, divisions are exact, and shapes
    that are added, joined or multiplied fit. Where no such numbers are found the first ones tried are returned, and a
    model may need others for reasons that no shape tells: callers may override them.

    Args:
        model: the model; names are the declared ones, and "input.axis" for unnamed dimensions.
        first: the least number.
        avoid: another binding, with which no name shares its number.
        shapes: an analysis of `model` without binding, if there is one already.
    """
    return _searched(model, first, avoid or {}, shapes or Shapes(model))[0]


def _searched(model: Model, first: int, avoid: Mapping[str, int], shapes: Shapes) -> tuple[dict[str, int], bool]:
    """The binding, and whether the model can run with it as far as the analysis sees."""
    dims = [shapes.dims(tensor) or () for tensor in model.graph.inputs]
    names = list(dict.fromkeys(name for shape in dims for dim in shape for name in sorted(symbols(dim or 0))))
    begun = {name: first + i for i, name in enumerate(names)}
    binding = dict(begun)
    sizes, pairs = _conditions(model, shapes)
    for _ in range(STEPS):
        clash = _clash(binding, avoid) or _small(sizes, binding) or _unequal(pairs, binding)
        if not clash:
            return binding, True
        for name, step in clash.items():
            binding[name] = (binding[name] // step + 1) * step
    return begun, False


Clash = dict[str, int]
"""Names whose numbers must grow, and to a multiple of what."""


def _clash(binding: Mapping[str, int], avoid: Mapping[str, int]) -> Clash:
    seen: set[int] = set()
    for name, number in binding.items():
        if number in seen or avoid.get(name) == number:
            return {name: 1}
        seen.add(number)
    return {}


def _small(sizes: list[Expression], binding: Mapping[str, int]) -> Clash:
    """The names of the first size that is no positive integer."""
    for size in sizes:
        number = evaluate(size, binding)
        if not isinstance(number, int) or number < 1:
            return dict.fromkeys(symbols(size), _denominator(size))
    return {}


def _denominator(size: Expression) -> int:
    """What the names must be multiples of, if `size` shall be an integer: of the one factor that is a name alone."""
    return lcm(*(c.denominator for _, c in size.terms))


def _unequal(pairs: list[tuple[Scalar, Scalar, bool]], binding: Mapping[str, int]) -> Clash:
    """The names of the first two sizes that should be equal and are not (or always 1, where they broadcast).

    Of the smaller one alone, if it has names that the larger one has not: then they come closer.
    """
    for a, b, broadcast in pairs:
        x, y = evaluate(a, binding), evaluate(b, binding)
        if x != y and not (broadcast and 1 in (a, b)):
            smaller, larger = (symbols(a), symbols(b)) if x < y else (symbols(b), symbols(a))
            return dict.fromkeys(smaller - larger or smaller | larger, 1)
    return {}


def _conditions(model: Model, shapes: Shapes) -> tuple[list[Expression], list[tuple[Scalar, Scalar, bool]]]:
    """All symbolic sizes of the main graph, and the pairs of sizes that must agree."""
    known = {name for tensor in model.graph.inputs for dim in shapes.dims(tensor) or () for name in symbols(dim or 0)}
    sizes: dict[Expression, None] = {}
    pairs: dict[tuple[Scalar, Scalar, bool], None] = {}
    for node in nodes(model.graph):
        for tensor in node.outputs:
            sizes.update((dim, None) for dim in shapes.dims(tensor) or () if isinstance(dim, Expression))
        pairs.update((pair, None) for pair in _agreements(node, shapes) if pair[0] != pair[1])
    usable = [size for size in sizes if symbols(size) <= known]
    return usable, [pair for pair in pairs if symbols(pair[0]) | symbols(pair[1]) <= known]


def _agreements(node: Node, shapes: Shapes) -> Iterator[tuple[Scalar, Scalar, bool]]:
    if node.domain:
        return
    dims = [shapes.dims(tensor) for tensor in node.inputs]
    known = [shape for shape in dims if shape is not None]
    if node.op in ALIGNED:
        for a, b in pairwise(known):
            yield from _aligned(a[::-1], b[::-1], broadcast=True)
    elif node.op == "Concat" and isinstance(axis := node.attrs.get("axis", 1), int):
        for a, b in pairwise(known):
            place = axis % max(len(a), 1)
            yield from _aligned(a[:place] + a[place + 1 :], b[:place] + b[place + 1 :], broadcast=False)
    elif node.op == "MatMul" and len(known) == len(dims) and known[0] and known[1]:
        yield from _aligned(known[0][-1:], known[1][-2:][:1], broadcast=False)
    elif node.op in RECURRENT and dims[0] is not None:
        batch = 0 if node.attrs.get("layout") else 1
        for index, state in enumerate(dims):
            if index >= FIRST_STATE and state is not None and len(state) == len(dims[0]):
                yield from _aligned(dims[0][batch : batch + 1], state[batch : batch + 1], broadcast=False)
    elif node.op == "Reshape" and dims[0] is not None:
        yield from _reshaped(dims[0], shapes.dims(node.outputs[0]))


def _aligned(a: Dims, b: Dims, *, broadcast: bool) -> Iterator[tuple[Scalar, Scalar, bool]]:
    for x, y in zip(a, b, strict=False):
        if x is not None and y is not None:
            yield x, y, broadcast


def _reshaped(before: Dims, after: Dims | None) -> Iterator[tuple[Scalar, Scalar, bool]]:
    known, made = all_known(before), all_known(after)
    if known is not None and made is not None:
        yield product(known), product(made), False


def bindings(model: Model, shapes: Shapes | None = None) -> list[dict[str, int]]:
    """Two bindings that differ in every name; one empty one for a model without free dimensions.

    The second begins with 1, the number at which dimensions get lost, if the model can run with that. There is only
    one where a second cannot be: a dimension that is called free, and meets another of a certain length.
    """
    shapes = shapes or Shapes(model)
    one, runs = _searched(model, 3, {}, shapes)
    if not one:
        return [one]
    for first in (1, 4):
        other, runs_too = _searched(model, first, one, shapes)
        if runs_too:
            break
    return [one, other] if runs_too or not runs else [one]


def uniform_bindings(model: Model) -> list[dict[str, int]]:
    """Bindings that give the same number to every free dimension: what is left when a model ran with no other."""
    shapes = Shapes(model)
    dims = [dim for tensor in model.graph.inputs for dim in shapes.dims(tensor) or () if dim is not None]
    names = dict.fromkeys(name for dim in dims for name in sorted(symbols(dim)))
    return [dict.fromkeys(names, number) for number in UNIFORM] if names else []


def binding_of(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The numbers that the shapes of actual inputs, by name, give to the free dimensions.

    Raises UsageError where a shape does not fit what the model declares, or two inputs disagree.
    """
    analysis, found = Shapes(model), dict[str, int]()
    for tensor in model.graph.inputs:
        dims, given = analysis.dims(tensor), shapes.get(tensor.name)
        if given is None or dims is None:
            continue
        declared = ", ".join(map(str, analysis.shape(tensor) or ()))
        expected = f"input {tensor.name!r} has the shape [{', '.join(map(str, given))}], the model expects [{declared}]"
        if len(given) != len(dims):
            raise UsageError(expected)
        for dim, number in zip(dims, given, strict=True):
            names = symbols(dim or 0)
            if len(names) == 1 and found.setdefault(next(iter(names)), number) != number:
                raise UsageError(f"{expected}, where {next(iter(names))} is {found[next(iter(names))]} elsewhere")
            if isinstance(dim, int) and dim != number:
                raise UsageError(expected)
    return found
