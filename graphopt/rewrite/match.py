"""Matching: where in a graph a pattern holds, found by backtracking without copies of the pattern.

A matcher walks a pattern and the graph together and yields once for each way in which they agree. Bindings are
undone on the way back, so nothing is copied and alternatives cost nothing until they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from graphopt.ir import values
from graphopt.ir.dtypes import FLOATS, DType, epsilon
from graphopt.ir.types import Array, Constant, Node, Shape, Tensor, Variable
from graphopt.rewrite import pattern as p
from graphopt.target import ORT, Target

if TYPE_CHECKING:
    from graphopt.analysis.shapes import Shapes
    from graphopt.ir.edit import Editor

FARTHEST = 1024
"""Nodes behind a match that are looked at, to find out whether they lead back into it."""
LITERAL_ULPS = 4
"""How many units of its dtype's precision a constant may differ from the literal that it stands for."""


class Refused(Exception):
    """Raised by `Match.require`: the pattern is there, but a condition of the rule does not hold.

    final: nor will it, unless the matched nodes are replaced.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Match:
    """One place where a pattern holds; read-only. Indexed by the pattern objects themselves.

    root: the node at which the pattern's outermost call was found.
    target: where the model is to run.
    nodes: all matched nodes, the root first, and those that the rule relies on.
    reads: constants whose values somebody looked at through this match.
    """

    def __init__(self, matcher: Matcher, root: Node) -> None:
        self.root = root
        self.nodes = tuple(dict.fromkeys(matcher.nodes.values()))
        self.reads: dict[Constant, None] = dict.fromkeys(matcher.literals)
        self._bindings = dict(matcher.bindings)
        self._calls = dict(matcher.nodes)
        self._editor, self._shapes = matcher.editor, matcher.shapes
        self.target = matcher.target

    def __contains__(self, part: p.Pattern) -> bool:
        return (part.key in self._calls) if isinstance(part, p.Node) else part in self._bindings

    def __getitem__(self, part: p.Pattern) -> Any:
        """What `part` is bound to: the tensor of a Value, the array of a Const (float64 for any floating dtype),
        the node of a call, the list of tensors of a Rest. Raises KeyError for a part that was not matched."""
        if isinstance(part, p.Node):
            return self._calls[part.key]
        bound = self._bindings[part]
        return self.array(bound) if isinstance(part, p.Const) else bound

    def get(self, part: p.Pattern, default: Any = None) -> Any:
        """`self[part]`, or `default` where an optional part is absent."""
        return self[part] if part in self else default  # noqa: SIM401 - not a dict

    def tensor(self, part: p.Pattern) -> Tensor:
        """The tensor that `part` is bound to, without looking at its values; for a call, the matched output."""
        if isinstance(part, p.Node):
            return self._calls[part.key].outputs[part.output]
        bound: Tensor = self._bindings[part]
        return bound

    def array(self, tensor: Tensor) -> Array:
        """The values of a constant tensor, in float64 if they are floating; recorded as read."""
        array = self.held(tensor)
        return array.astype(np.float64) if array.dtype in FLOATS else array

    def held(self, tensor: Tensor) -> Array:
        """The values of a constant tensor as they are held; recorded as read."""
        held = values.constant(tensor)
        if held is None:
            self.refuse(f"{tensor.name} is not constant")
        if isinstance(tensor, Constant):
            self.reads[tensor] = None
        return held.values

    def attr(self, part: p.Node, name: str, default: Any = None) -> Any:
        """An attribute of the node of a call, or `default` if the node does not carry it."""
        return self._calls[part.key].attrs.get(name, default)

    def take(self, *nodes: Node) -> None:
        """Count nodes that the rule itself found among those that are matched: they go if nothing else needs them."""
        self.nodes = tuple(dict.fromkeys((*self.nodes, *nodes)))

    def require(self, condition: object, reason: str, *, final: bool = False) -> None:
        """Go on only if `condition` holds; otherwise the rule leaves this place alone, for the stated reason.

        final: the condition depends on nothing but matched nodes and the values of constants, so that the rule need
            not be asked again when more is known about the rest of the graph.
        """
        if not condition:
            raise Refused(reason, final=final)

    def rely_on(self, nodes: Iterable[Node]) -> None:
        """Take nodes above the match, from which the rule concludes something, into what is checked and replaced."""
        self.nodes = tuple(dict.fromkeys((*self.nodes, *nodes)))

    def refuse(self, reason: str) -> NoReturn:
        """Leave this place alone, for the stated reason."""
        raise Refused(reason)

    def claim(self, *nodes: Node) -> None:
        """Take more nodes into the match: those that a rule found by walking the graph from what its pattern bound,
        and that its replacement makes superfluous. Their values must be used by claimed nodes only."""
        self.nodes = tuple(dict.fromkeys((*self.nodes, *nodes)))

    # ---- what the analyses know ----

    def dtype(self, part: p.Pattern | Tensor) -> DType | None:
        """Element type of a part's tensor, None if unknown."""
        return self._shapes.dtype(self._tensor(part))

    def shape(self, part: p.Pattern | Tensor) -> Shape | None:
        """Shape of a part's tensor, None if its rank is unknown; elements are int, symbolic text, or None."""
        return self._shapes.shape(self._tensor(part))

    def rank(self, part: p.Pattern | Tensor) -> int | None:
        """Number of dimensions of a part's tensor, None if unknown."""
        shape = self.shape(part)
        return None if shape is None else len(shape)

    def known(self, part: p.Pattern | Tensor) -> Array | None:
        """The values of a part's tensor if it is a small integer or boolean tensor whose values are known."""
        tensor = self._tensor(part)
        if isinstance(tensor, Constant):
            self.reads[tensor] = None
        return self._shapes.known(tensor)

    @property
    def shapes(self) -> Shapes:
        """The shape analysis itself."""
        return self._shapes

    @property
    def opset(self) -> int:
        """Version of the default domain in the model."""
        return self._editor.graph.opset

    def is_output(self, part: p.Pattern | Tensor) -> bool:
        """Whether a graph returns the part's tensor."""
        return self._editor.is_output(self._tensor(part))

    def leads_back(self, *parts: p.Pattern | Tensor) -> bool:
        """Whether what the root reads may be computed from the parts' tensors by way of nodes outside the match.

        The root then cannot compute these tensors itself. Nodes in nested graphs, or far away, may lead anywhere.
        """
        home, inside = self._editor.home, set(self.nodes)
        waiting = [node for part in parts for node in self._tensor(part).outputs if node not in inside]
        reached = dict.fromkeys(waiting)
        while waiting and len(reached) < FARTHEST:
            node = waiting.pop()
            if home[node] is not home[self.root]:
                return True
            further = [reader for tensor in node.outputs for reader in tensor.outputs if reader not in reached]
            if not inside.isdisjoint(further):
                return True
            reached |= dict.fromkeys(further)
            waiting += further
        return bool(waiting)

    def can_stand_for(self, new: Tensor, old: Tensor) -> bool:
        """Whether `new` can replace `old` without a node that only keeps the old name."""
        return self._editor.can_stand_for(new, old)

    def _tensor(self, part: p.Pattern | Tensor) -> Tensor:
        return self.tensor(part) if isinstance(part, p.Pattern) else part


class Matcher:
    """Finds the matches of one pattern at one node at a time. `note(depth, reason, node)` hears of mismatches."""

    def __init__(
        self,
        editor: Editor,
        shapes: Shapes,
        note: Callable[[int, Callable[[], str], Node], None] | None = None,
        target: Target = ORT,
    ) -> None:
        self.editor, self.shapes, self.note, self.target = editor, shapes, note, target
        self.bindings: dict[p.Pattern, Any] = {}
        self.nodes: dict[p.Node, Node] = {}
        self.variants: dict[p.Node, p.Node] = {}
        self.literals: list[Constant] = []
        self._graph: object = None

    def matches(self, pattern: p.Pattern, root: Node) -> Iterator[Match]:
        """Every match of `pattern` whose outermost call is `root`, whose inner values nobody else uses."""
        self.bindings.clear()
        self.nodes.clear()
        self.literals.clear()
        self._graph = self.editor.home[root]
        for call in pattern.alternatives if isinstance(pattern, p.Either) else (pattern,):
            if isinstance(call, p.Node) and self._admits(call, root):
                for _ in self._call(call, root):
                    if self._closed(root):
                        yield Match(self, root)

    def _admits(self, call: p.Node, node: Node) -> bool:
        return node.op in call.ops and node.domain == call.domain

    def _closed(self, root: Node) -> bool:
        """Whether values inside the match are used only inside it."""
        matched = set(self.nodes.values())
        for call, node in self.nodes.items():
            if node is root or self.variants[call].is_shared:
                continue
            for tensor in node.outputs:
                outside = next((reader for reader in tensor.outputs if reader not in matched), None)
                if outside is not None or self.editor.is_output(tensor):
                    self._mismatch(partial(_used, tensor, outside), node)
                    return False
        return True

    def _tensor(self, part: p.Pattern, tensor: Tensor, reader: Node) -> Iterator[None]:
        """Yields for each way in which `part` describes `tensor`, an input of `reader`."""
        if isinstance(part, p.Either):
            for alternative in part.alternatives:
                yield from self._tensor(alternative, tensor, reader)
        elif isinstance(part, p.Opt):
            if tensor.name:
                yield from self._tensor(part.inner, tensor, reader)
            else:
                yield
        elif isinstance(part, p.Value):
            bound: list[p.Pattern] = []
            if self._binds(part, tensor, reader, bound):
                yield
            for one in bound:
                del self.bindings[one]
        elif not tensor.name:
            self._mismatch(lambda: "an input is absent", reader)
        elif isinstance(part, p.Literal):
            yield from self._literal(part, tensor, reader)
        elif isinstance(part, p.Node):
            yield from self._producer(part, tensor, reader)

    def _literal(self, part: p.Literal, tensor: Tensor, reader: Node) -> Iterator[None]:
        number = values.scalar(tensor)
        close = number is not None and abs(number - part.value) <= LITERAL_ULPS * _eps(tensor) * abs(part.value)
        if not close:
            self._mismatch(lambda: f"expected the constant {part}, found {_describe(tensor)}", reader)
            return
        if isinstance(tensor, Constant):
            self.literals.append(tensor)
        yield
        if isinstance(tensor, Constant):
            self.literals.pop()

    def _binds(self, part: p.Value, tensor: Tensor, reader: Node, bound: list[p.Pattern]) -> bool:
        """Whether `part` describes `tensor`. It is then bound, and added to `bound` if it was not before."""
        held = self.bindings.get(part)
        if not tensor.name:
            self._mismatch(lambda: "an input is absent", reader)
            return False
        if held is not None:
            if not values.same(held, tensor):
                self._mismatch(lambda: f"expected {held.name} again, found {tensor.name}", reader)
                return False
            return True
        if part.is_known is not None and part.is_known != (values.constant(tensor) is not None):
            wanted = "a constant" if part.is_known else "no constant"
            self._mismatch(lambda: f"expected {wanted}, found {_describe(tensor)}", reader)
            return False
        self.bindings[part] = tensor
        bound.append(part)
        return True

    def _producer(self, call: p.Node, tensor: Tensor, reader: Node) -> Iterator[None]:
        node = tensor.producer
        if node is None or not self._admits(call, node) or self.editor.home.get(node) is not self._graph:
            self._mismatch(lambda: f"expected {call}, found {_describe(tensor)}", reader)
        elif call.output >= len(node.outputs) or node.outputs[call.output] is not tensor:
            self._mismatch(lambda: f"expected output {call.output} of {call}, found another", reader)
        else:
            yield from self._call(call, node)

    def _call(self, call: p.Node, node: Node) -> Iterator[None]:
        bound = self.nodes.get(call.key)
        if bound is not None:
            if bound is node:
                yield
            return
        for name, wanted in call.attrs:
            actual = node.attrs.get(name)
            if not (wanted(actual) if callable(wanted) else actual == wanted):
                self._mismatch(partial("attribute {} is {}".format, name, actual), node)
                return
        self.nodes[call.key] = node
        self.variants[call.key] = call
        inputs = list(node.inputs)
        while inputs and not inputs[-1].name:
            inputs.pop()
        for order in call.orders(len(inputs)):
            yield from self._inputs(order, inputs, node)
        del self.nodes[call.key]

    def _inputs(self, parts: tuple[p.Pattern, ...], inputs: list[Tensor], node: Node) -> Iterator[None]:
        """Yields for each way in which the parts describe the inputs; only calls and alternatives have several."""
        bound: list[p.Pattern] = []
        for at, part in enumerate(parts):
            tensor = inputs[at] if at < len(inputs) else Variable.empty()
            if isinstance(part, p.Rest):
                self.bindings[part] = inputs[at:]
                bound.append(part)
                yield
                break
            if not isinstance(part, p.Value):
                for _ in self._tensor(part, tensor, node):
                    yield from self._inputs(parts[at + 1 :], inputs[at + 1 :], node)
                break
            if not self._binds(part, tensor, node, bound):
                break
        else:
            if len(inputs) > len(parts):
                self._mismatch(lambda: f"{len(inputs) - len(parts)} more inputs than expected", node)
            else:
                yield
        for part in bound:
            del self.bindings[part]

    def _mismatch(self, reason: Callable[[], str], node: Node) -> None:
        if self.note is not None:
            self.note(len(self.nodes) + len(self.bindings), reason, node)


def _eps(tensor: Tensor) -> float:
    held = values.constant(tensor)
    return 0.0 if held is None else epsilon(held.dtype)


def _describe(tensor: Tensor) -> str:
    number = values.scalar(tensor)
    if number is not None:
        return f"the constant {number:g}"
    if values.constant(tensor) is not None:
        return f"the constant {tensor.name}"
    producer = tensor.producer
    return f"{producer.op} ({tensor.name})" if producer is not None else f"the input {tensor.name}"


def _used(tensor: Tensor, outside: Node | None) -> str:
    return f"{tensor.name} is also " + ("returned by the graph" if outside is None else f"used by {outside!r}")
