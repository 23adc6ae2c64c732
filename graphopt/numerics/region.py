"""The two small models of a rewrite: the nodes that go, and the nodes that come, between the same inputs.

Inputs of the region become inputs of both models. Constants that the rule looked at, and small ones, keep their
values; large ones that it never looked at become inputs too, so that equal layers with other weights are one check.
Integer vectors such as the target of a Reshape are not invented: their producers are taken into both models, back to
tensors whose shape is known; so are `Constant` nodes, whose values a rule may have looked at.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import onnx

from graphopt.ir import walk
from graphopt.ir.dtypes import INTEGERS, DType, elem_type
from graphopt.ir.edit import UNNAMED, Draft, Rewrite, implied_imports
from graphopt.ir.emit import call_proto, constant_proto
from graphopt.ir.joined import Joined
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Graph, Node, Stored, Tensor
from graphopt.numerics.domains import domain_of
from graphopt.numerics.feeds import InputSpec
from graphopt.numerics.metrics import is_float
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.numerics.pictures import smaller

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes

BULK = 1 << 20
"""Constants of at least so many bytes can be fed instead of being written into models, which copies them."""
SMALL = 4096
"""Constants of up to this many bytes, but weights, keep their values, whether or not a rule looked at them."""
FEW = 16
"""Floats that make no weights yet."""
READERS = 64
"""Nodes that read a small tensor, all of which have to be asked what they accept if it is to be drawn."""
RUNTIME_IR = 13
"""The newest IR version that ONNX Runtime 1.31 loads; nothing in a region needs a newer one."""
MAX_CONTEXT = 256
"""Nodes that may be taken into a region to compute its integer vectors."""

Call = Node | Draft


class Unverifiable(Exception):
    """The region cannot be run on its own; the text says why."""


@dataclass(frozen=True, eq=False)
class Region:
    """What a rewrite replaces and by what, between the same boundary.

    before, after: the calls, in topological order; old, new: the tensors that they compute and that are exchanged.
    inputs, embedded: the tensors at the boundary that are fed, and the constants that keep their values, with names.
    feeds: for each binding of the free dimensions, what to feed; none if `same`.
    small: the same with pictures as small as windows allow; none where that is no less.
    """

    model: Model
    before: tuple[Call, ...]
    after: tuple[Call, ...]
    old: tuple[Tensor, ...]
    new: tuple[Tensor, ...]
    inputs: Mapping[Tensor, str]
    embedded: Mapping[Tensor, str]
    dtypes: Mapping[Tensor, DType | None]
    own_names: bool
    feeds: tuple[tuple[InputSpec, ...], ...] = ()
    small: tuple[tuple[InputSpec, ...], ...] = ()

    @cached_property
    def _structure(self) -> tuple[Hashable, Hashable]:
        places = {tensor: index for index, tensor in enumerate((*self.inputs, *self.embedded))}
        return _structure(self.before, self.old, dict(places)), _structure(self.after, self.new, dict(places))

    @property
    def same(self) -> bool:
        """Whether both sides make the same calls, which needs no run to be believed."""
        return self._structure[0] == self._structure[1]

    @cached_property
    def key(self) -> Hashable | None:
        """Equal for regions whose runs would be equal; None where that costs more to find out than a run."""
        if self.own_names or any(t.nbytes > BULK for t in self.embedded if isinstance(t, Constant)):
            return None
        return (*self._structure, self.feeds, tuple(_content(t) for t in self.embedded))

    @cached_property
    def outline(self) -> Hashable:
        """Equal for regions that differ at most in the values of weights."""
        return (*self._structure, self.feeds, tuple(_outline(t) for t in self.embedded))

    def fed(self, batches: Iterable[Mapping[Tensor, Array]]) -> list[dict[str, Array]]:
        """What to feed for each batch of what the tensors at the boundary hold; constants hold what they do."""
        held = {tensor: tensor.values for tensor in self.inputs if isinstance(tensor, Constant)}
        return [{name: (held | {**batch})[tensor] for tensor, name in self.inputs.items()} for batch in batches]

    @cached_property
    def bulk(self) -> dict[Constant, str]:
        """The large ones among the constants that keep their values."""
        held = {tensor: name for tensor, name in self.embedded.items() if isinstance(tensor, Constant)}
        return {tensor: name for tensor, name in held.items() if tensor.nbytes >= BULK and tensor.dtype.kind != "O"}

    def models(self, *, whole: bool = True) -> tuple[bytes, bytes]:
        """Both sides as serialised models with the same inputs and outputs; if not whole, `bulk` has to be fed too."""
        return self._model(self.before, self.old, whole=whole), self._model(self.after, self.new, whole=whole)

    def _model(self, calls: tuple[Call, ...], wanted: tuple[Tensor, ...], *, whole: bool) -> bytes:
        names = self._names(calls)
        graph = onnx.GraphProto(name="region")
        graph.node.extend(call_proto(call, names) for call in calls)
        for node in graph.node:
            node.ClearField("metadata_props")
        outputs = [f"output_{index}" for index in range(len(wanted))]
        for tensor, output in zip(wanted, outputs, strict=True):
            graph.node.add(op_type="Identity", input=[names[tensor]], output=[output])
        used = {tensor for call in calls for tensor in _reads(call)} | set(wanted)
        kept = [t for t in self.embedded if isinstance(t, Constant) and t in used]
        fed = set() if whole else self.bulk.keys()
        graph.initializer.extend(constant_proto(t, names[t]) for t in kept if t not in fed)
        graph.input.extend(_value_info(names[t], t.dtype) for t in kept if t in fed)
        graph.input.extend(_value_info(name, self.dtypes[tensor]) for tensor, name in self.inputs.items())
        graph.output.extend(_value_info(name, self.dtypes[t]) for name, t in zip(outputs, self.old, strict=True))
        model = onnx.ModelProto(ir_version=min(max(self.model.ir_version, 4), RUNTIME_IR), graph=graph)
        opsets = self.model.opsets
        for domain, version in (opsets | implied_imports(calls, opsets)).items():
            model.opset_import.add(domain=domain, version=version)
        if any(node.domain for node in graph.node):
            model.functions.extend(self.model.functions)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def bulky(self) -> dict[str, Array]:
        """What to feed for `bulk`, besides what is drawn."""
        return {name: tensor.values for tensor, name in self.bulk.items()}

    def release(self) -> None:
        """Give back the memory that looking at `bulk` took."""
        for tensor in self.bulk:
            if isinstance(tensor.stored, Stored):
                tensor.stored.release()

    def _names(self, calls: tuple[Call, ...]) -> dict[Tensor, str]:
        """Names by position; nested graphs refer to tensors by name, so next to those tensors keep their own."""
        names = {**self.inputs, **self.embedded}
        for tensor in (t for call in calls for t in call.outputs):
            if tensor.name:
                names.setdefault(tensor, tensor.name if self.own_names and tensor.name != UNNAMED else f"?{len(names)}")
        return names


def repeats(rewrite: Rewrite) -> bool:
    """Whether all that goes is a call of which an equal one, that draws no random numbers, is still there."""
    match rewrite.before, rewrite.after:
        case (goes, stays), ():
            return (
                (goes.op, goes.domain, goes.overload) == (stays.op, stays.domain, stays.overload)
                and list(goes.inputs) == list(stays.inputs)
                and _attributes(goes) == _attributes(stays)
                and rewrite.replace.items() <= dict(zip(goes.outputs, stays.outputs, strict=False)).items()
                and not nondeterministic(goes)
            )
    return False


def region(rewrite: Rewrite, model: Model, bindings: Sequence[Shapes]) -> Region:
    """Build the region of a rewrite that has not been committed.

    bindings: the model's shapes with all free dimensions bound, in one or more ways.
    Raises Unverifiable with the reason where no faithful region exists.
    """
    builder = _Builder(rewrite, model, bindings)
    if builder.alike() and not builder.draws() and (alone := builder.region(fed=False)).same:
        return alone
    return builder.region(fed=True)


class _Builder:
    def __init__(self, rewrite: Rewrite, model: Model, bindings: Sequence[Shapes]) -> None:
        self.rewrite, self.model, self.bindings = rewrite, model, bindings
        self.old, self.new = tuple(rewrite.replace), tuple(rewrite.replace.values())
        self.before = set(rewrite.before)
        self.producers: dict[Tensor, Call] = {t: draft for draft in rewrite.after for t in draft.outputs if t.name}
        self.producers |= {t: call for draft in rewrite.after for t in draft.inputs if (call := _joining(t))}
        self.context: dict[Node, None] = {}
        self._cut()

    def _cut(self) -> None:
        """Find the calls of both sides, in topological order, and what they need from outside."""
        (self.calls, old), (self.made, new) = self._slice(self.old), self._slice(self.new)
        self.boundary, self.chosen = old | new, new.keys() - old.keys()

    def region(self, *, fed: bool) -> Region:
        """The region: with its feeds, and the context that they need, or just as it stands."""
        if fed:
            self._take_in()
        before, after, boundary = self.calls, self.made, self.boundary
        own = any(isinstance(value, Graph) for call in (*before, *after) for value in call.attrs.values())
        inputs: dict[Tensor, str] = {}
        embedded: dict[Tensor, str] = {}
        for tensor in boundary:
            group, prefix = (embedded, "c") if self._keeps_values(tensor) else (inputs, "i")
            group[tensor] = tensor.name if own and tensor.name != UNNAMED else f"{prefix}{len(group)}"
        bindings = self.bindings if fed else ()
        specs = [tuple(self._spec(t, name, shapes) for t, name in inputs.items()) for shapes in bindings]
        small = [self._smaller(spec, shapes, inputs) for spec, shapes in zip(specs, bindings, strict=True)]
        dtypes = {tensor: self.bindings[0].dtype(tensor) for tensor in (*inputs, *self.old)} if fed else {}
        feeds, less = tuple(dict.fromkeys(specs)), tuple(dict.fromkeys(small))
        known = (self.model, before, after, self.old, self.new, inputs, embedded, dtypes, own, feeds)
        return Region(*known, less if less != feeds else ())

    def alike(self) -> bool:
        """Whether both sides call the same operators, so that they may be the same calls."""
        before, after = (sorted(call.op for call in side) for side in (self.calls, self.made))
        return before == after

    def draws(self) -> bool:
        """Whether one of the calls draws random numbers."""
        return any(nondeterministic(call) for call in (*self.calls, *self.made))

    def _inside(self, tensor: Tensor) -> Call | None:
        """The call that computes the tensor within the region, or None at its boundary."""
        if tensor in self.producers:
            return self.producers[tensor]
        producer = tensor.producer
        return producer if producer is not None and (producer in self.before or producer in self.context) else None

    def _slice(self, wanted: Iterable[Tensor]) -> tuple[tuple[Call, ...], dict[Tensor, None]]:
        """The calls inside the region that compute `wanted`, in topological order, and what they need from outside."""
        order: dict[Call, None] = {}
        boundary: dict[Tensor, None] = {}
        stack: list[tuple[Tensor, Call | None]] = [(tensor, None) for tensor in wanted]
        stack.reverse()
        while stack:
            tensor, done = stack.pop()
            if done is not None:
                order.setdefault(done)
                continue
            call = self._inside(tensor)
            if call is None:
                boundary.setdefault(tensor)
            elif call not in order:
                stack.append((tensor, call))
                stack.extend((t, None) for t in reversed(list(dict.fromkeys(_reads(call)))) if t.name)
        return tuple(order), boundary

    def _take_in(self) -> None:
        """Take in whatever computes integer vectors and unknown shapes that both sides need from outside."""
        waiting = list(self.boundary)
        while waiting:
            tensor = waiting.pop()
            producer = None if self._inside(tensor) is not None else self._to_take_in(tensor)
            if producer is not None:
                self.context[producer] = None
                waiting.extend(t for t in _reads(producer) if t.name)
                if len(self.context) > MAX_CONTEXT:
                    raise Unverifiable("its shapes depend on too large a part of the model")
        if self.context:
            self._cut()
        if self.draws():
            raise Unverifiable("the region draws random numbers")

    def _to_take_in(self, tensor: Tensor) -> Node | None:
        """The producer of a boundary tensor that cannot be fed with made-up values."""
        if isinstance(tensor, Constant) or tensor.producer is None:
            return None
        if tensor.producer.op == "Constant" and not tensor.producer.domain:
            return tensor.producer
        shapes = self.bindings[0]
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        vector = dtype in INTEGERS and static is not None and len(static) <= 1
        of_shapes = vector or shapes.value(tensor) is not None
        return tensor.producer if dtype is None or static is None or of_shapes else None

    def _keeps_values(self, tensor: Tensor) -> bool:
        """Whether a tensor is a constant whose values matter: small, read by the rule, or chosen by it."""
        if not isinstance(tensor, Constant):
            return False
        drawn = _weights(tensor) and len(tensor.outputs) <= READERS
        small = tensor.nbytes <= SMALL and not drawn
        return small or tensor in self.rewrite.reads or tensor in self.chosen

    def _spec(self, tensor: Tensor, name: str, shapes: Shapes) -> InputSpec:
        dtype, static = shapes.dtype(tensor), shapes.static(tensor)
        if dtype is None or static is None:
            raise Unverifiable(f"the shape of {tensor.name} is unknown")
        return InputSpec(name, dtype, static, domain_of(tensor, shapes))

    def _smaller(self, specs: tuple[InputSpec, ...], shapes: Shapes, inputs: Iterable[Tensor]) -> tuple[InputSpec, ...]:
        """What to feed with the pictures among `inputs` made smaller."""
        fed = {t: spec.shape for t, spec in zip(inputs, specs, strict=True) if not isinstance(t, Constant)}
        wanted = {tensor: shape for tensor in self.old if (shape := shapes.static(tensor))}
        cut = smaller((*self.calls, *self.made), fed, wanted)
        return tuple(s._replace(shape=cut[t]) if t in cut else s for t, s in zip(inputs, specs, strict=True))


def _joining(tensor: Tensor) -> Draft | None:
    """The call that computes a constant which a rewrite joined unread: other weights make no other region."""
    joined = tensor.stored if isinstance(tensor, Constant) and not tensor.outputs else None
    if not isinstance(joined, Joined):
        return None
    return Draft("Concat", list(joined.sources), [tensor], {"axis": joined.axis})


def _reads(call: Call) -> Iterable[Tensor]:
    """What a call reads, captures included."""
    return walk.uses(call) if isinstance(call, Node) else call.inputs


def _value_info(name: str, dtype: DType | None) -> onnx.ValueInfoProto:
    info = onnx.ValueInfoProto(name=name)
    if dtype is not None:
        info.type.tensor_type.elem_type = elem_type(dtype)
    return info


def _structure(calls: Iterable[Call], wanted: Iterable[Tensor], places: dict[Tensor, int]) -> Hashable:
    """The calls with tensors as positions: equal if and only if the same is computed in the same way."""
    rows: list[Hashable] = []
    for call in calls:
        read = tuple(places[tensor] if tensor.name else -1 for tensor in call.inputs)
        for tensor in call.outputs:
            if tensor.name:
                places[tensor] = len(places)
        made = tuple(bool(tensor.name) for tensor in call.outputs)
        rows.append((call.op, call.domain, call.overload, read, made, _attributes(call)))
    return tuple(rows), tuple(places[tensor] for tensor in wanted)


def _attributes(call: Call) -> Hashable:
    return tuple(sorted((name, _hashable(value)) for name, value in call.attrs.items()))


def _hashable(value: Any) -> Hashable:
    """An attribute's type and value; nested graphs and messages count as equal only to themselves."""
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, Constant):
        return _content(value)
    plain = isinstance(value, int | float | str | bytes)
    return (type(value).__name__, repr(value) if plain else str(id(value)))


def _outline(constant: Tensor) -> Hashable:
    return (constant.dtype, constant.shape) if _weights(constant) else _content(constant)


def _weights(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers on which it hardly hangs what a rule does: more than a few floats."""
    return isinstance(tensor, Constant) and is_float(tensor.dtype) and math.prod(tensor.shape) > FEW


def _content(constant: Tensor) -> Hashable:
    """dtype, shape and values of a constant, shortened if they are long; a large one equals only itself."""
    if not isinstance(constant, Constant) or constant.nbytes > BULK or constant.dtype.kind == "O":
        return ("object", "", str(id(constant)))
    values = constant.values.tobytes()
    short = values if len(values) <= SMALL else hashlib.blake2b(values).digest()
    return (constant.dtype.name, str(constant.shape), short.hex())
