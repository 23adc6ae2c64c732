"""The graph that passes see: graphsurgeon's classes with identity equality, and nothing of the file lost.

A graphopt `Graph` is a `gs.Graph`, so scripts written against graphsurgeon work on it. What graphsurgeon
would drop (metadata, doc strings, non-tensor types, overridable initializers, ...) has a field here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_graphsurgeon as gs
from onnx_graphsurgeon.ir.tensor import LazyValues

from graphopt.ir.links import Links

if TYPE_CHECKING:
    import onnx

    from graphopt.ir.dtypes import DType

Dim = int | str | None
Shape = tuple[Dim, ...]
MATRIX = 2
"""Dimensions of a matrix."""
Array = np.ndarray[Any, Any]

AttributeRef = gs.Node.AttributeRef
"""A node attribute inside a function that refers to an attribute of that function (`name`, `type`)."""


class EmptyList(list[Any]):
    """An attribute that is an empty list; `type` keeps which kind (an `onnx.AttributeProto.AttributeType`)."""

    def __init__(self, kind: onnx.AttributeProto.AttributeType) -> None:
        super().__init__()
        self.type = kind


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

    def release(self) -> None:
        """Give back the memory that looking at the values took; arrays that `load` gave stay good."""


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


def subgraphs(node: Node) -> Iterator[Graph]:
    """The graphs held directly by the attributes of `node`."""
    for value in node.attrs.values():
        if isinstance(value, Graph):
            yield value
        elif isinstance(value, list) and value and isinstance(value[0], Graph):
            yield from value
