"""Looking up every element of a tensor in order, by indices that an exporter computed: that moves nothing."""

from __future__ import annotations

import math

import numpy as np

from graphopt import Builder, Const, Exact, Match, Opt, Value, op, rule
from graphopt.analysis.symbolic import Scalar
from graphopt.analysis.types import Dims
from graphopt.ir.types import MATRIX, Tensor
from passes.positions.bounds import SMALL

x, indices = Value("x"), Const("indices")
lookup = op.GatherND(x, indices, batch_dims=lambda dims: not dims)

flat = op.Flatten(x)
flattened = flat | op.Reshape(x, Value("shape"))
across = op.Unsqueeze(op.Range(Value("from"), Value("to"), Value("by")).shared(), Opt(Value("axes"))).shared()
down = op.Unsqueeze(op.Range(Value("from"), Value("to"), Value("by")).shared(), Opt(Value("axes"))).shared()
width = Value("width")
counters = across + down * width
counted = op.Gather(flattened, counters, axis=lambda axis: not axis)


@rule(lookup, numerics=Exact(), opset=12)
def grid_of_indices(m: Match, new: Builder) -> Tensor:
    """GatherND of all elements, in their order, is Reshape."""
    shape, index = m.shape(x) or (), m.shape(indices) or ()
    depth = index[-1] if index else 0
    sizes = tuple(dim for dim in shape[:depth] if isinstance(dim, int)) if isinstance(depth, int) else ()
    m.require(sizes and len(sizes) == depth, "the dimensions looked up are not known")
    after = [dim for dim in m.shape(lookup) or () if isinstance(dim, int)]
    m.require(after and len(after) == m.rank(lookup), "the shape of the result is not known")
    count = math.prod(sizes)
    m.require(math.prod(dim for dim in index if isinstance(dim, int)) == count * len(sizes), "not each element is read")
    m.require(count <= SMALL, "there are many indices")
    wanted = np.stack(np.unravel_index(np.arange(count), sizes), axis=-1)
    m.require(np.array_equal(m[indices].reshape(wanted.shape), wanted), "the elements are not read in their order")
    return new.Reshape(m[x], np.array(after, np.int64))


@rule(counted, numerics=Exact(), opset=13)
def grid_of_counters(m: Match, new: Builder) -> Tensor:
    """Element i n + j of a flattened matrix with n columns, for all i and j in order, is the matrix with more axes."""
    dims, held = m.shapes.dims(m[x]), m.shapes.dims(m[counted].inputs[0]) or (None, None)
    m.require(dims is not None and len(dims) == MATRIX, "what is flattened is not known to be a matrix")
    height, length = dims if dims is not None else (None, None)
    m.require(all(dim == 1 for dim in held[1:]), "the elements do not lie in the first dimension")
    rank = m.rank(counters) or 0
    _check_counter(m, m.tensor(down), height, rank, 0)
    _check_counter(m, m.tensor(across), length, m.rank(across) or 0, -1)
    m.require(rank >= MATRIX, "rows and columns are not counted in two dimensions")
    m.require(_number(m, m[width]) == length, "the step from row to row is not known to be the number of columns")
    more = m.rank(counted) or 0
    return new.Unsqueeze(m[x], np.array([axis for axis in range(1, more) if axis != rank - 1], np.int64))


def _check_counter(m: Match, tensor: Tensor, length: Scalar | None, rank: int, axis: int) -> None:
    """Require a tensor of that rank that counts from 0 by 1 up to `length` along that axis alone. Raises Refused."""
    node = tensor.producer
    counter = node.inputs[0].producer if node is not None else None
    numbers = [] if counter is None else [_number(m, counter.inputs[0]), _number(m, counter.inputs[2])]
    m.require(numbers == [0, 1], "a counter does not go from 0 by 1")
    wanted: list[Scalar | None] = [1] * rank
    if wanted:
        wanted[axis] = length
    found: Dims | None = m.shapes.dims(tensor)
    m.require(length is not None and found == tuple(wanted), "a counter is not known to go through all of its axis")


def _number(m: Match, tensor: Tensor) -> Scalar | None:
    """The one number that a tensor holds, which may be an expression; None if it is unknown."""
    found = m.shapes.integers(tensor)
    elements = () if found is None else found.elements
    return elements[0] if len(elements) == 1 else None
