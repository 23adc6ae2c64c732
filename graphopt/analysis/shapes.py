"""`Shapes`: types, symbolic shapes and small integer values of every tensor of a model, computed when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graphopt.analysis.call import Call
from graphopt.analysis.control import captured, infer_control, owners
from graphopt.analysis.fallback import type_of
from graphopt.analysis.functions import infer_function
from graphopt.analysis.inference import Result, infer, needed
from graphopt.analysis.integers import exact
from graphopt.analysis.order import Facts, evaluate
from graphopt.analysis.symbolic import Expression, symbol, symbols
from graphopt.analysis.text import parse
from graphopt.analysis.types import UNKNOWN, SymbolicArray, Type, TypeInfo
from graphopt.ir.dtypes import FLOATS
from graphopt.ir.types import Constant, Variable, subgraphs
from graphopt.ir.values import constant_of_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphopt.analysis.symbolic import Scalar
    from graphopt.ir.dtypes import DType
    from graphopt.ir.model import Model
    from graphopt.ir.types import Dim, Node, Tensor

MOST_INTEGERS = 1024
MOST_FLOATS = 16
"""Constants with more elements are weights: their values are not read."""

ANONYMOUS = frozenset({"", "?", "*", "-1", "None", "none", "unk", "unknown", "dynamic"})
"""Names that exporters write for "some dimension": two of them need not be equal."""

CONTROL = frozenset({"If", "Loop", "Scan"})


class Shapes:
    """Types and small integer values of the tensors of `model` and of its subgraphs.

    Computed per node and on demand, so tensors that a rewrite creates are known as soon as someone asks.
    Entries are kept until `forget`. What is not known is None; nothing here raises for a strange graph.

    Args:
        model: the model; its graph inputs' declared types are trusted, declarations of other tensors are
            used only where inference knows nothing.
        binding: numbers for named dimensions of the graph inputs.
        defaults: take small overridable initializers for what they hold, as if nobody overrode them.
    """

    def __init__(self, model: Model, binding: Mapping[str, int] | None = None, *, defaults: bool = False) -> None:
        self.model = model
        self.binding = dict(binding or {})
        self.defaults = defaults
        self._types: dict[Tensor, Type] = {}
        self._values: dict[Tensor, SymbolicArray | None] = {}
        self._memo: dict[Any, Result] = {}
        self._inputs: set[Tensor] = set()
        self._names: set[str] = set()
        self._owners = owners(model.graph)
        self._branches = any(True for node in model.graph.nodes if node.attrs for _ in subgraphs(node))
        self._facts = Facts()

    def renewed(self) -> Shapes:
        """The same questions about the model as it is now.

        What a call gave is remembered, unless it may depend on sizes that were met elsewhere.
        """
        new = Shapes(self.model, self.binding, defaults=self.defaults)
        if not self._facts:
            new._memo = self._memo
        return new

    # --- questions --------------------------------------------------------------------------------------------

    def type(self, tensor: Tensor) -> TypeInfo:
        """Element type and shape, dimensions as numbers or canonical text."""
        return self.inferred(tensor).info()

    def dtype(self, tensor: Tensor) -> DType | None:
        """Element type, or None."""
        return self.inferred(tensor).dtype

    def shape(self, tensor: Tensor) -> tuple[Dim, ...] | None:
        """Dimensions as numbers, canonical text, or None; None if the rank is unknown."""
        return self.inferred(tensor).info().shape

    def dims(self, tensor: Tensor) -> tuple[Scalar | None, ...] | None:
        """Dimensions as numbers or expressions, for arithmetic."""
        return self.inferred(tensor).dims

    def rank(self, tensor: Tensor) -> int | None:
        """Number of dimensions, or None."""
        dims = self.inferred(tensor).dims
        return None if dims is None else len(dims)

    def static(self, tensor: Tensor) -> tuple[int, ...] | None:
        """The shape, if every dimension is a number."""
        dims = self.inferred(tensor).dims
        if dims is None:
            return None
        numbers = tuple(d for d in dims if isinstance(d, int))
        return numbers if len(numbers) == len(dims) else None

    def integers(self, tensor: Tensor) -> SymbolicArray | None:
        """What is known of the values of a small integer or boolean tensor, element by element."""
        dtype = self.inferred(tensor).dtype
        return self._value(tensor) if dtype is not None and dtype.kind in "iub" else None

    def known(self, tensor: Tensor) -> np.ndarray[Any, Any] | None:
        """The values of a small integer or boolean tensor, if all are known numbers."""
        value = self.integers(tensor)
        return value.array.astype(self.dtype(tensor)) if value is not None and value.numbers else None

    def expression(self, text: str) -> Scalar:
        """A dimension's text as an expression. Raises ValueError for text that is none."""
        return parse(text)

    def evaluate(self, dim: Dim | Scalar, binding: Mapping[str, int]) -> int | None:
        """The number that a dimension has under `binding`; None for None, or where names have no number."""
        value = parse(dim) if isinstance(dim, str) else dim
        if value is None or not symbols(value) <= binding.keys():
            return None
        number = evaluate(value, binding)
        return number if isinstance(number, int) else None

    def forget(self, tensors: Iterable[Tensor]) -> None:
        """Drop what was computed for `tensors`: it is computed afresh when asked for."""
        for tensor in tensors:
            self._types.pop(tensor, None)
            self._values.pop(tensor, None)

    # --- inference --------------------------------------------------------------------------------------------

    def inferred(self, tensor: Tensor) -> Type:
        """The type with expressions as dimensions."""
        found = self._types.get(tensor)
        if found is None:
            self._infer_back(tensor)
            found = self._types[tensor]
        return found

    def _infer_back(self, tensor: Tensor) -> None:
        """Infer `tensor`, and what it depends on, without recursion."""
        stack, expanded = [tensor], set()
        while stack:
            top = stack[-1]
            if top in self._types:
                stack.pop()
                continue
            node = self._source(top)
            if node is None:
                self._set_leaf(top)
                continue
            missing = [] if node in expanded else self._missing(node)
            expanded.add(node)
            if missing:
                stack.extend(missing)
            else:
                self._infer_node(node)
                if top not in self._types:
                    self._set(top, UNKNOWN, None)

    def _source(self, tensor: Tensor) -> Node | None:
        """The node that decides the type of `tensor`: its producer, or the Loop whose body it enters."""
        if isinstance(tensor, Constant):
            return None
        return tensor.producer or self._owners.get(tensor)

    def _missing(self, node: Node) -> list[Tensor]:
        known = self._types
        missing = [tensor for tensor in node.inputs if tensor not in known]
        if node.op in CONTROL:
            missing += [tensor for tensor in captured(node) if tensor not in known]
        return missing

    def _set(self, tensor: Tensor, type_: Type, value: SymbolicArray | None) -> None:
        self._types[tensor] = type_
        if value is not None:
            self._values[tensor] = value
        else:
            self._values.pop(tensor, None)

    def _set_leaf(self, tensor: Tensor) -> None:
        if isinstance(tensor, Constant):
            self._types[tensor] = Type(np.dtype(tensor.dtype), map(int, tensor.shape))
        else:
            self._set(tensor, self._declared(tensor, trusted=self._is_input(tensor)), self._default(tensor))

    def _default(self, tensor: Variable) -> SymbolicArray | None:
        default = self.model.graph.defaults.get(tensor) if self.defaults else None
        return None if default is None else constant_values(default)

    def _is_input(self, tensor: Variable) -> bool:
        if tensor not in self._inputs and not _omitted(tensor):
            inputs = self.model.graph.inputs
            self._inputs = set(inputs)
            self._names = {d for t in inputs for d in t.shape or () if isinstance(d, str)}
        return tensor in self._inputs

    def _declared(self, tensor: Variable, *, trusted: bool) -> Type:
        """What the file says of a tensor. Unnamed dimensions of graph inputs get a name of their own."""
        if tensor.type != "tensor_type":
            info = tensor.info
            return UNKNOWN if info is None else type_of(info.type)
        dtype = None if tensor.dtype is None else np.dtype(tensor.dtype)
        if tensor.shape is None:
            return Type(dtype)
        return Type(dtype, [self._named(tensor, i, trusted=trusted) for i in range(len(tensor.shape))])

    def _named(self, tensor: Variable, axis: int, *, trusted: bool) -> Scalar | None:
        dim = (tensor.shape or ())[axis]
        if isinstance(dim, int) and dim >= 0:
            return int(dim)
        if not trusted:
            return None
        if isinstance(dim, str) and dim not in ANONYMOUS:
            name = dim
        else:
            name = f"{tensor.name}.{axis}"
            while name in self._names:
                name += "_"
        return self.binding.get(name, symbol(name))

    def value(self, tensor: Tensor) -> SymbolicArray | None:
        """As `integers`, for floating tensors too: exact rationals."""
        self.inferred(tensor)
        return self._value(tensor)

    def assume(self, tensor: Tensor, type_: Type, value: SymbolicArray | None = None) -> None:
        """Take `type_` for the type of `tensor` until it is forgotten."""
        self._set(tensor, type_, value)

    def _value(self, tensor: Tensor) -> SymbolicArray | None:
        if isinstance(tensor, Constant) and tensor not in self._values:
            self._values[tensor] = constant_values(tensor)
        return self._values.get(tensor)

    def _infer_node(self, node: Node) -> None:
        constant = constant_of_node(node.attrs) if node.op == "Constant" else None
        if constant is not None:
            self._set_leaf(constant)
            self._set(node.outputs[0], self._types.pop(constant), constant_values(constant))
            return
        if node.op in CONTROL and not node.domain:
            result = infer_control(self, node)
        else:
            found = self._call(node)
            result = list(zip(found.types, found.values, strict=True))
        for tensor, (type_, value) in zip(node.outputs, result, strict=False):
            self._set(tensor, self._hinted(tensor, type_), value)

    def _hinted(self, tensor: Tensor, type_: Type) -> Type:
        """Declarations fill in what inference does not know at all: element type, and shape."""
        if (type_.dtype is not None and type_.dims is not None) or not isinstance(tensor, Variable) or type_.proto:
            return type_
        declared = self._declared(tensor, trusted=False)
        if declared.proto:
            return declared if type_ == UNKNOWN else type_
        return Type(type_.dtype or declared.dtype, type_.dims if type_.dims is not None else declared.dims)

    def _call(self, node: Node) -> Result:
        """Infer an ordinary node, once for all nodes that are alike."""
        types = tuple(None if _omitted(t) else self._types.get(t, UNKNOWN) for t in node.inputs)
        values = self._relevant(node)
        attrs, count = node.attrs, len(node.outputs)
        version = self.model.opsets.get(node.domain, 1)
        frozen = tuple([(k, tuple(v) if isinstance(v, list) else v) for k, v in attrs.items()]) if attrs else ()
        key: tuple[Any, ...] = (node.op, node.domain, node.overload, version, count, types, values, frozen)
        try:
            found = self._memo.get(key)
        except TypeError:  # an attribute that is a message has no hash
            key, found = (), None
        if found is None:
            call = Call(node.op, types, values, attrs, version, count, node.domain, self._facts)
            found = self._function(node, call) or infer(call)
            self._note(found.types)
            if key:
                self._memo[key] = found
        return found

    def _function(self, node: Node, call: Call) -> Result | None:
        """What the body of a model-local function makes of the call; None if the node calls none."""
        identity = (node.domain, node.op, node.overload)
        if not any((f.domain, f.name, f.overload) == identity for f in self.model.functions):
            return None
        return infer_function(call, self.model, node.overload, Shapes)

    def _note(self, types: Iterable[Type | None]) -> None:
        """Sizes are not negative; in a graph inside another that holds only if it runs."""
        if self._branches:
            return
        for type_ in types:
            for dim in (type_ and type_.dims) or ():
                if isinstance(dim, Expression):
                    self._facts.add(dim)

    def _relevant(self, node: Node) -> tuple[SymbolicArray | None, ...]:
        """The values of inputs that matter to the outputs."""
        inputs = node.inputs
        reads, needs, computes = needed(node.op, node.domain, len(inputs))
        if computes:
            known = self._values
            variables = [i for i in needs if i < len(inputs) and not isinstance(inputs[i], Constant)]
            computes = all(inputs[i] in known for i in variables)
        if not computes and not reads:
            return ()
        wanted = range(len(inputs)) if computes else reads
        values: list[SymbolicArray | None] = [None] * len(inputs)
        for i in wanted:
            values[i] = self._value(inputs[i])
        return tuple(values)


def _omitted(tensor: Tensor) -> bool:
    return not tensor.name and isinstance(tensor, Variable) and not tensor.inputs


def constant_values(constant: Constant) -> SymbolicArray | None:
    """The numbers of a small constant; larger ones are weights, and never read."""
    dtype = np.dtype(constant.dtype)
    if dtype.kind in "iub":
        return exact(constant.values) if constant.size <= MOST_INTEGERS else None
    return exact(constant.values) if dtype in FLOATS and constant.size <= MOST_FLOATS else None
