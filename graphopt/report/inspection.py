"""What a model consists of, and what it costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphopt.analysis.binding import default_binding
from graphopt.analysis.cost import macs
from graphopt.analysis.shapes import Shapes
from graphopt.errors import UsageError
from graphopt.ir import dtypes, walk
from graphopt.ir.model import Model
from graphopt.ir.types import Tensor, Variable
from graphopt.ir.values import constant
from graphopt.ir.words import listed
from graphopt.report.encode import to_json
from graphopt.report.record import measure, weights_of

if TYPE_CHECKING:
    import onnx

    from graphopt.ir.types import Dim
    from graphopt.target import Target

SCHEMA = 1


@dataclass(frozen=True)
class Port:
    """One input or output. kind: its ONNX type as text. default: whether callers may leave it out."""

    name: str
    kind: str
    dtype: str | None
    shape: list[Dim] | None
    default: bool = False


@dataclass(frozen=True)
class Operator:
    """All calls of one operator. macs: of those whose shapes are known; unknown: how many others there are.

    parameters: elements of the constants that these calls read; shared ones count where they are read first.
    """

    name: str
    count: int
    parameters: int
    macs: int
    unknown: int


@dataclass(frozen=True)
class Findings:
    """What a pipeline would do, unverified. problem: why it could not be tried, "" if it could."""

    pipeline: str
    nodes: int = 0
    weight_bytes: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Inspection:
    """A model at a glance. dimensions: the numbers at which `macs` was computed, for free dimensions of the inputs.

    target: where it is to run, "" if nobody asked. lacking: what has no kernel there, in words, and how many nodes.
    """

    model: str
    ir_version: int
    producer: str
    opsets: dict[str, int]
    metadata: dict[str, str]
    inputs: list[Port]
    outputs: list[Port]
    nodes: int
    all_nodes: int
    subgraphs: int
    functions: dict[str, int]
    parameters: int
    weight_bytes: int
    macs: int
    unknown_macs: int
    dimensions: dict[str, int]
    operators: list[Operator]
    findings: Findings | None = None
    target: str = ""
    lacking: dict[str, int] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The record as JSON text."""
        return to_json(self)


def inspect(model: Model, dimensions: dict[str, int] | None = None, target: Target | None = None) -> Inspection:
    """Look at a model without running it; no weight is decoded.

    dimensions: numbers for free dimensions, for the multiply-accumulates; by default the smallest that fit.
    target: tell what of the model has no kernel there.
    Raises UsageError for a dimension that the inputs do not have.
    """
    size, binding = measure(model), _binding(model, dimensions or {})
    shapes = Shapes(model, binding)
    operators = _operators(model, shapes)
    inputs = [_port(model, tensor) for tensor in model.graph.inputs]
    return Inspection(
        model=str(model.path or model.graph.name),
        ir_version=model.ir_version,
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        opsets=size.opsets,
        metadata=dict(model.metadata),
        inputs=inputs,
        outputs=[_port(model, tensor) for tensor in model.graph.outputs],
        nodes=size.nodes,
        all_nodes=size.all_nodes,
        subgraphs=sum(1 for _ in walk.graphs(model.graph)) - 1,
        functions={f"{function.domain}::{function.name}": len(function.node) for function in model.functions},
        parameters=sum(tensor.size for tensor in weights_of(model)),
        weight_bytes=size.weight_bytes,
        macs=sum(operator.macs for operator in operators),
        unknown_macs=sum(operator.unknown for operator in operators),
        dimensions=binding,
        operators=operators,
        target=target.name if target else "",
        lacking=_lacking(model, shapes, target) if target else {},
    )


def _binding(model: Model, wanted: dict[str, int]) -> dict[str, int]:
    free = default_binding(model, first=1)
    for name in wanted:
        if name not in free:
            raise UsageError(f"the inputs have no free dimension {name!r}; they have: {listed(free, 20) or 'none'}")
    return free | wanted


def _operators(model: Model, shapes: Shapes) -> list[Operator]:
    counts, parameters, costs, unknown = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    seen: set[Tensor] = set()
    for node in walk.nodes(model.graph):
        name = f"{node.domain}::{node.op}" if node.domain else node.op
        counts[name] += 1
        for tensor in node.inputs:
            held = constant(tensor)
            if held is not None and tensor not in seen:
                seen.add(tensor)
                parameters[name] += held.size
        cost = macs(node, shapes)
        if isinstance(cost, int):
            costs[name] += cost
        else:
            unknown[name] += 1
    rows = [Operator(name, count, parameters[name], costs[name], unknown[name]) for name, count in counts.items()]
    return sorted(rows, key=lambda row: (-row.macs, -row.count, row.name))


def _lacking(model: Model, shapes: Shapes, target: Target) -> dict[str, int]:
    """Why the target does not run nodes of the model, and how many: those of each operator that has no kernel there."""
    own = {(function.domain, function.name) for function in model.functions}
    reasons = Counter[str]()
    for node in walk.nodes(model.graph):
        read = (shapes.dtype(tensor) for tensor in node.inputs if tensor.name)
        dtype = next((one for one in read if one in dtypes.FLOATS), None)
        reason = None if (node.domain, node.op) in own else target.lacks(node.op, node.domain, dtype)
        reasons.update([reason] if reason else ())
    return dict(reasons.most_common())


def _port(model: Model, tensor: Tensor) -> Port:
    dtype = None if tensor.dtype is None else dtypes.name(tensor.dtype)
    shape = None if tensor.shape is None else list(tensor.shape)
    return Port(tensor.name, _kind(tensor), dtype, shape, tensor in model.graph.defaults)


def _kind(tensor: Tensor) -> str:
    if isinstance(tensor, Variable) and tensor.type != "tensor_type":
        return "?" if tensor.info is None else type_text(tensor.info.type)
    dtype = "?" if tensor.dtype is None else dtypes.name(tensor.dtype)
    return f"{dtype}{_dims(tensor.shape)}"


def _dims(shape: tuple[Dim, ...] | None) -> str:
    return "[...]" if shape is None else f"[{', '.join('?' if dim is None else str(dim) for dim in shape)}]"


def type_text(type_: onnx.TypeProto) -> str:
    """An ONNX type in words: `sequence(float[2, n])`."""
    kind = type_.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        held = getattr(type_, kind)
        dims = [d.dim_param or (d.dim_value if d.HasField("dim_value") else None) for d in held.shape.dim]
        code = held.elem_type
        text = (dtypes.name(dtypes.numpy_dtype(code)) if code else "?") + _dims(
            tuple(dims) if held.HasField("shape") else None
        )
        return text if kind == "tensor_type" else f"sparse({text})"
    if kind in ("sequence_type", "optional_type"):
        return f"{kind.removesuffix('_type')}({type_text(getattr(type_, kind).elem_type)})"
    if kind == "map_type":
        key = dtypes.name(dtypes.numpy_dtype(type_.map_type.key_type))
        return f"map({key}, {type_text(type_.map_type.value_type)})"
    return "?"
