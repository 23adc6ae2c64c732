"""The graph that passes see: graphsurgeon's classes with identity equality, and nothing of the file lost.

A graphopt `Graph` is a `gs.Graph`, so scripts written against graphsurgeon work on it. What graphsurgeon
would drop (metadata, doc strings, non-tensor types, overridable initializers, ...) has a field here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import numpy as np
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues

if TYPE_CHECKING:
    import onnx

    from graphopt.ir.dtypes import DType

Dim = int | str | None
Shape = tuple[Dim, ...]
Array = np.ndarray[Any, Any]

AttributeRef = gs.Node.AttributeRef
"""A node attribute inside a function that refers to an attribute of that function (`name`, `type`)."""


class EmptyList(list[Any]):
    """An attribute that is an empty list; `type` keeps which kind (an `onnx.AttributeProto.AttributeType`)."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        self.type = kind


class Links(list[Any]):
    """A list whose elements list its owner in turn: node.inputs and tensor.outputs mirror each other.

    graphsurgeon's `SynchronizedList`, at a third of its memory, by identity, and correct for generators and
    slices. Edits run along the list, so the next element to go is found beside the last one: a tensor may have
    100,000 readers.
    """

    __slots__ = ("field_name", "last", "parent_obj")

    def __init__(self, parent_obj: Any, field_name: str, initial: Iterable[Any] = ()) -> None:
        self.parent_obj, self.field_name, self.last = parent_obj, field_name, 0
        self.extend(initial)

    def _link(self, element: Any) -> None:
        list.append(getattr(element, self.field_name), self.parent_obj)

    def _unlink(self, element: Any) -> None:
        """Remove the owner from the element's links, looking outwards from where the last one was removed."""
        links = getattr(element, self.field_name)
        start = min(links.last, len(links) - 1)
        for distance in range(len(links)):
            for index in (start - distance, start + distance):
                if 0 <= index < len(links) and links[index] is self.parent_obj:
                    list.__delitem__(links, index)
                    links.last = max(index - 1, 0)
                    return

    def append(self, element: Any) -> None:
        """Add an element and link it."""
        list.append(self, element)
        self._link(element)

    def extend(self, elements: Iterable[Any]) -> None:
        """Add all elements, of any iterable, and link them."""
        for element in list(elements):
            self.append(element)

    def insert(self, index: SupportsIndex, element: Any) -> None:
        """Add an element before `index` and link it."""
        list.insert(self, index, element)
        self._link(element)

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Take out the element at `index`, unlinked."""
        element = list.pop(self, index)
        self._unlink(element)
        return element

    def remove(self, element: Any) -> None:
        """Take out the first occurrence of this very element. Raises StopIteration if there is none."""
        self.pop(next(i for i, held in enumerate(self) if held is element))

    def clear(self) -> None:
        """Take out and unlink everything."""
        self[:] = ()

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        self[index if isinstance(index, slice) else slice(index, (int(index) + 1) or None)] = ()

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        where = index if isinstance(index, slice) else slice(index, (int(index) + 1) or None)
        new = list(value) if isinstance(index, slice) else [value]
        for element in self[where]:
            self._unlink(element)
        list.__setitem__(self, where, new)
        for element in new:
            self._link(element)

    def __iadd__(self, elements: Iterable[Any]) -> Self:
        self.extend(elements)
        return self

    def __add__(self, other: list[Any]) -> list[Any]:
        return [*self, *other]

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return list(self)


class Variable(gs.Variable):
    """A tensor known only at run time.

    `dtype` (NumPy dtype or None) and `shape` (tuple of int, str or None; None if the rank is unknown) are
    what the file declares. `info` is the declaration itself where it says more than dtype and shape: sequences,
    maps, optionals, denotations, doc strings, metadata.
    """

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    name: str
    dtype: DType | None
    shape: Shape | None
    inputs: list[Node]
    outputs: list[Node]

    def __init__(
        self,
        name: str,
        dtype: DType | None = None,
        shape: Sequence[Dim] | None = None,
        type: str = "tensor_type",  # noqa: A002 - graphsurgeon's name for it
        info: onnx.ValueInfoProto | None = None,
    ) -> None:
        self.__dict__.update(
            name=name,
            dtype=dtype,
            shape=None if shape is None else tuple(shape),
            type=type,
            info=info,
        )
        self.__dict__["inputs"] = Links(self, "outputs")
        self.__dict__["outputs"] = Links(self, "inputs")

    @staticmethod
    def empty() -> Variable:
        """A tensor without a name: an omitted optional input or output."""
        return Variable("")

    def to_constant(self, values: Array | Stored, export_dtype: DType | None = None) -> Constant:
        """Turn this tensor, in place, into a Constant: all its readers see the values. Returns it."""
        state = Constant(self.name, values, None, export_dtype).__dict__
        made: Constant = _become(self, Constant, state)
        return made

    def copy(self) -> Variable:
        """The same declaration, without its links to nodes."""
        return Variable(self.name, self.dtype, self.shape, self.type, self.info)

    @property
    def producer(self) -> Node | None:
        """The node that computes this tensor, or None for graph inputs and omitted values."""
        return self.inputs[0] if self.inputs else None

    def __repr__(self) -> str:
        return f"%{self.name}"


class Stored(LazyValues):
    """Weights where the file has them, undecoded: what `Constant.values` decodes when somebody looks.

    Subclasses (in `graphopt.ir.storage`) know the place. `shape`, `dtype` and `nbytes` cost nothing.
    """

    shape: tuple[int, ...]
    dtype: DType
    nbytes: int

    def __init__(self, shape: tuple[int, ...], dtype: DType, nbytes: int) -> None:
        self.shape, self.dtype, self.nbytes = shape, dtype, nbytes

    @property
    def tensor(self) -> onnx.TensorProto:
        """The message that graphsurgeon's own exporter asks for; its values are decoded and copied."""
        from onnx import numpy_helper

        return numpy_helper.from_array(self.load())

    def load(self) -> Array:
        """A read-only array of `shape` and `dtype`; a view of the mapped file where the bytes allow it."""
        raise NotImplementedError


class Constant(gs.Constant):
    """A tensor whose values are known: an initializer, or the tensor of an attribute.

    `info` is what the file declares about an initializer besides its values, where it does so.
    """

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    name: str
    inputs: list[Node]
    outputs: list[Node]

    def __init__(
        self,
        name: str,
        values: Array | Stored,
        data_location: int | None = None,
        export_dtype: DType | None = None,
        doc_string: str = "",
        metadata: dict[str, str] | None = None,
        info: onnx.ValueInfoProto | None = None,
    ) -> None:
        self.__dict__.update(
            name=name,
            _values=values,
            data_location=data_location,
            _export_dtype=export_dtype,
            doc_string=doc_string,
            metadata=metadata or {},
            info=info,
        )
        self.__dict__["inputs"] = Links(self, "outputs")
        self.__dict__["outputs"] = Links(self, "inputs")

    def to_variable(self, dtype: DType | None = None, shape: Sequence[Dim] = ()) -> Variable:
        """Turn this tensor, in place, into a Variable of `dtype` (by default its own) and `shape`. Returns it."""
        made: Variable = _become(self, Variable, Variable(self.name, dtype or self.dtype, shape).__dict__)
        return made

    def copy(self) -> Constant:
        """The same values, without links to nodes."""
        return Constant(
            self.name, self._values, self.data_location, self._export_dtype, self.doc_string,
            dict(self.metadata), self.info,
        )  # fmt: skip

    @property
    def values(self) -> Array:
        """The array, read-only while it comes from the file: assign a new array to change it."""
        held = self._values
        return held.load() if isinstance(held, LazyValues) else held

    @values.setter
    def values(self, values: Array | Stored) -> None:
        self._values = values

    @property
    def stored(self) -> Array | Stored:
        """The values as held: an array, or a `Stored` that has not been decoded."""
        return self._values

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions, all known."""
        return tuple(self._values.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for dim in self._values.shape:
            size *= int(dim)
        return size

    @property
    def nbytes(self) -> int:
        """Bytes of the values, as stored in a file or as held in memory."""
        return int(self._values.nbytes)

    @property
    def producer(self) -> None:
        """No node computes a constant."""
        return

    def __repr__(self) -> str:
        return f"%{self.name}"


Tensor = Variable | Constant


def _become(tensor: Any, kind: type[Any], state: dict[str, Any]) -> Any:
    """Give the object another class and state, keeping its links."""
    links = {name: tensor.__dict__[name] for name in ("inputs", "outputs")}
    tensor.__class__ = kind
    tensor.__dict__ = {**state, **links}
    return tensor


class Node(gs.Node):
    """One operator call. `attrs` maps names to int, float, str, bytes, lists of those, `Constant`, `Graph`,
    `AttributeRef`, `EmptyList`, or, for kinds that no pass reads, the `onnx.AttributeProto` itself."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    op: str
    name: str
    domain: str
    attrs: dict[str, Any]
    inputs: list[Tensor]
    outputs: list[Tensor]

    def __init__(
        self,
        op: str,
        name: str = "",
        attrs: dict[str, Any] | None = None,
        inputs: Sequence[Tensor] = (),
        outputs: Sequence[Tensor] = (),
        domain: str | None = "",
        overload: str = "",
        doc_string: str = "",
        metadata: dict[str, str] | None = None,
        extra: onnx.NodeProto | None = None,
    ) -> None:
        self.__dict__.update(
            op=op,
            name=name,
            attrs={} if attrs is None else attrs,
            domain="" if domain in (None, "ai.onnx") else domain,
            overload=overload,
            doc_string=doc_string,
            metadata=metadata or {},
            extra=extra,
        )
        self.__dict__["inputs"] = Links(self, "outputs", inputs)
        self.__dict__["outputs"] = Links(self, "inputs", outputs)

    def copy(
        self,
        inputs: Sequence[Tensor] | None = None,
        outputs: Sequence[Tensor] | None = None,
        tensor_map: dict[str, Tensor] | None = None,
    ) -> Node:
        """A copy with other inputs and outputs; subgraphs are copied with `tensor_map` (graphsurgeon's meaning)."""
        attrs = {k: v.copy(tensor_map) if isinstance(v, Graph) else v for k, v in self.attrs.items()}
        return Node(
            self.op, self.name, attrs, inputs or (), outputs or (), self.domain, self.overload, self.doc_string,
            dict(self.metadata), self.extra,
        )  # fmt: skip

    def __repr__(self) -> str:
        kind = f"{self.domain}::{self.op}" if self.domain else self.op
        return f"{kind}({self.name or ', '.join(t.name for t in self.outputs)})"


class Graph(gs.Graph):
    """A graph, or a subgraph held by a node's attribute.

    inputs: the `Variable`s that a caller feeds. `defaults` gives the value of an overridable initializer.
    initializers: the `Constant`s declared in this graph, in file order; others that nodes use are
        declared in the outermost graph when the model is written.
    opsets: domain ("" for ai.onnx) to version; one dict shared with all subgraphs.
    """

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    nodes: list[Node]
    inputs: list[Variable]
    outputs: list[Tensor]

    def __init__(
        self,
        nodes: Sequence[Node] | None = None,
        inputs: Sequence[Variable] | None = None,
        outputs: Sequence[Tensor] | None = None,
        name: str = "graph",
        doc_string: str = "",
        opset: int | None = None,
        import_domains: Any = None,
        producer_name: str = "",
        producer_version: str = "",
        functions: Any = None,
        ir_version: int | None = None,
        opsets: dict[str, int] | None = None,
        initializers: Sequence[Constant] | None = None,
    ) -> None:
        import onnx

        self.opsets: dict[str, int] = {}
        self.initializers: list[Constant] = list(initializers or ())
        self.defaults: dict[Tensor, Constant] = {}
        self.metadata: dict[str, str] = {}
        self.quantization_annotation: list[onnx.TensorAnnotation] = []
        self.listed_inputs: list[str] = []
        """Order of all inputs in a file before IR version 4, where every initializer is listed as one."""
        super().__init__(
            nodes=list(nodes or ()),
            inputs=inputs,
            outputs=outputs,
            name=name,
            doc_string=doc_string,
            producer_name=producer_name,
            producer_version=producer_version,
            functions=functions,
            ir_version=ir_version,
        )
        # graphsurgeon has just set an opset of its own
        self.opsets = {"": opset or onnx.defs.onnx_opset_version()} if opsets is None else opsets
        self.import_domains = import_domains

    @property
    def opset(self) -> int:
        """Version of the default domain; 1 for a model that imports only other domains."""
        return self.opsets.get("", 1)

    @opset.setter
    def opset(self, version: int | None) -> None:
        if version is not None:
            self.opsets[""] = version

    @property
    def import_domains(self) -> list[onnx.OperatorSetIdProto]:
        """`opsets` as messages, which is how graphsurgeon holds them."""
        from onnx import helper

        return [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]

    @import_domains.setter
    def import_domains(self, domains: Iterable[onnx.OperatorSetIdProto] | None) -> None:
        for imported in domains or ():
            self.opsets[imported.domain] = imported.version

    def __repr__(self) -> str:
        return f"Graph({self.name}: {len(self.nodes)} nodes)"


@dataclass(eq=False)
class Model:
    """A graph with everything else that its file says.

    functions: model-local functions, untouched (`onnx.FunctionProto`).
    extra: an `onnx.ModelProto` with the fields that nothing here reads (training_info, configuration).
    path: where it was read from, or None.
    """

    graph: Graph
    ir_version: int = 10
    producer_name: str = ""
    producer_version: str = ""
    domain: str = ""
    model_version: int = 0
    doc_string: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    functions: list[onnx.FunctionProto] = field(default_factory=list)
    extra: onnx.ModelProto | None = None
    path: Path | None = None

    @property
    def opsets(self) -> dict[str, int]:
        """Domain ("" for ai.onnx) to version, shared with the graph."""
        return self.graph.opsets

    def to_proto(self) -> onnx.ModelProto:
        """The whole model as one message. Raises OutputError above the 2 GB that a message can hold."""
        from graphopt.ir.writer import to_proto

        return to_proto(self)

    def save(self, path: str | Path) -> None:
        """Write the model to `path`, atomically; weights go beside it in `<name>.data` above 2 GB."""
        from graphopt.ir.writer import save

        save(self, Path(path))


def subgraphs(node: Node) -> Iterator[Graph]:
    """The graphs held directly by the attributes of `node`."""
    for value in node.attrs.values():
        if isinstance(value, Graph):
            yield value
        elif isinstance(value, list) and value and isinstance(value[0], Graph):
            yield from value
