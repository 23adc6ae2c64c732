"""The only mutations: a `Rewrite` says what replaces what, and the `Editor` carries it out.

A rewrite is a value. Until it is committed nothing in the graph has changed, so it can be checked first; there is
no undo, because a compile is a pure function of its input, its pipeline and the set of rewrites left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant, Graph, Node, Tensor, Variable, subgraphs

UNNAMED = "?"
"""The name of a new tensor before the editor gives it one (an empty name would mean an omitted tensor)."""
RULE, SOURCES = "graphopt.rule", "graphopt.from"
"""Metadata keys of new nodes: the rule that made them, and the names of the nodes they stand for."""
KEEPER_OPSET = 13
"""The version of ai.onnx that a model without it imports when an Identity or Constant must keep an output's name."""
MOST_SOURCES = 32
IMPLIED = {"com.microsoft": 1}
"""Domains that a model need not import before a rewrite uses them, and the version that it then imports."""
METADATA_SINCE = 10
"""The first IR version whose nodes have metadata."""


@dataclass(eq=False)
class Draft:
    """A node that is not in any graph yet: the fields of a `Node`, without links from its tensors.

    bare: it stands for no node of the original, so it tells of none in its metadata, which there may be many of.
    """

    op: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Variable]
    attrs: dict[str, Any] = field(default_factory=dict)
    domain: str = ""
    name: str = ""
    overload: str = ""
    doc_string: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    extra: None = None
    bare: bool = False


@dataclass(frozen=True, eq=False)
class Rewrite:
    """One replacement: every use of a tensor that `replace` maps from becomes a use of the one it maps to.

    graph: holds all nodes of `before`, and will hold those of `after`.
    root: the node at which the rewrite is placed and by which it is named.
    before: nodes that the replacement makes superfluous; those that something else still needs stay.
    after: new nodes in topological order; their inputs are existing tensors, new constants or each other's outputs.
        A `Node` among them is one of a graph nested in `before`: it moves to the place of the root.
    reads: constants whose values influenced the replacement.
    unsorted: whether new nodes may stand before what they read, as something beside the root is replaced too.
    """

    graph: Graph
    root: Node
    before: tuple[Node, ...]
    after: tuple[Draft | Node, ...]
    replace: Mapping[Tensor, Tensor]
    reads: frozenset[Constant] = frozenset()
    unsorted: bool = False


class Editor:
    """Carries out rewrites on one model.

    The order of `graph.nodes` is kept lazily: call `flush` before relying on it.
    home: the graph of each node that is in the model.
    revision: grows with every change; analyses use it to notice that they are out of date.
    changed: nodes that were made, or read something else than before, in the order of the changes.
    thinned: nodes whose outputs lost a reader, in that order.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.graph = model.graph
        self.revision = 0
        self.changed: list[Node] = []
        self.thinned: list[Node] = []
        self.home: dict[Node, Graph] = {}
        self._owner: dict[Graph, Node] = {}
        self._returned: dict[Tensor, dict[Graph, None]] = {}
        self._names: set[str] = set()
        self._ambiguous: set[str] = set()
        self._counter: dict[str, int] = {}
        self._pending: dict[Node, list[Node]] = {}
        self._dirty: dict[Graph, bool] = {}
        self._orphans: set[Tensor] = set()
        for graph in walk.graphs(self.graph):
            for tensor in graph.outputs:
                self._returned.setdefault(tensor, {})[graph] = None
            for node in graph.nodes:
                self.home[node] = graph
                if node.name:
                    (self._ambiguous if node.name in self._names else self._names).add(node.name)
                self._owner.update((inner, node) for inner in subgraphs(node))
        for name in (tensor.name for tensor in walk.tensors(self.graph)):
            (self._ambiguous if name in self._names else self._names).add(name)

    # ---- questions ----

    def alive(self, node: Node) -> bool:
        """Whether the node is in the model (it may have been removed since somebody took hold of it)."""
        return node in self.home

    @property
    def nested(self) -> bool:
        """Whether some node holds a graph."""
        return bool(self._owner)

    def is_output(self, tensor: Tensor) -> bool:
        """Whether some graph, the model's or a nested one, returns the tensor."""
        return tensor in self._returned

    def is_used(self, tensor: Tensor) -> bool:
        """Whether a node reads the tensor or a graph returns it."""
        return bool(tensor.outputs) or tensor in self._returned

    def can_stand_for(self, new: Tensor, old: Tensor) -> bool:
        """Whether `new` can replace `old` without an extra node: always, unless `old` is returned by a graph that
        `new` cannot be returned by under the old name, or in which it is not computed."""
        graphs = self._returned.get(old, {})
        if not graphs:
            return True
        if new.producer is None or new in self._returned:
            return False
        home = self.home[new.producer]
        return all(home is graph for graph in graphs)

    def fresh(self, stem: str) -> str:
        """A name that no node and no tensor of the model has; it depends on nothing but earlier edits."""
        name = stem
        while not name or name in self._names:
            self._counter[stem] = self._counter.get(stem, 0) + 1
            name = f"{stem}_{self._counter[stem]}"
        self._names.add(name)
        return name

    # ---- changes ----

    def commit(self, rewrite: Rewrite, rule: str) -> list[Node]:
        """Carry out a rewrite made by `rule`. Returns the new nodes, in the order of `after`."""
        self.revision += 1
        self.model.opsets.update(implied_imports(rewrite.after, self.model.opsets))
        places = {id(old.producer) for old in rewrite.replace}
        old_of = {new: old for old, new in rewrite.replace.items()}
        computed = {tensor for call in rewrite.after if isinstance(call, Draft) for tensor in call.outputs}
        self._bring_out([call for call in rewrite.after if isinstance(call, Node)], rewrite.graph)
        made = [self._node(c, old_of, rewrite, rule) if isinstance(c, Draft) else c for c in rewrite.after]
        self._insert(made, rewrite.root, rewrite.graph)
        stands = {new: old_of[new] for new in computed if new in old_of}
        for old, new in rewrite.replace.items():
            if new not in computed or old_of[new] is not old:
                stands[new] = self.redirect(old, stands.get(new, new), rewrite.root)
        self.remove_unused(rewrite.before)
        if rewrite.unsorted or len(places) > 1:
            self._dirty[rewrite.graph] = True
        return made

    def redirect(self, old: Tensor, new: Tensor, root: Node) -> Tensor:
        """Make all readers of `old` read `new`; a graph that returns `old` keeps the name it returns.

        root: marks the place where an `Identity` or `Constant` node goes if the name can only be kept by one.
        Returns the tensor that has the values now: `new`, or `old` if it took the place of `new`.
        """
        self.revision += 1
        if not self.is_output(old):
            self._move_readers(old, new)
            return new
        if self.can_stand_for(new, old):
            self._release(old)
            producer = new.inputs[0]
            producer.outputs[_index(producer.outputs, new)] = old
            self.changed.append(producer)
            self._move_readers(new, old)
            return old
        self._move_readers(old, new)
        self._release(old)
        self._insert([self._keeper(old, new)], root, self.home[root])
        return new

    def freeze(self, tensor: Variable) -> Constant:
        """Make an overridable initializer a constant: it is no input any more. Raises KeyError if it has no default."""
        self.revision += 1
        constant = self.graph.defaults.pop(tensor)
        self.graph.inputs = [held for held in self.graph.inputs if held is not tensor]
        self.graph.initializers.append(constant)
        self._move_readers(tensor, constant)
        for graph in self._returned.pop(tensor, {}):
            graph.outputs = [constant if held is tensor else held for held in graph.outputs]
            self._returned.setdefault(constant, {})[graph] = None
        return constant

    def assign(self, constant: Constant, values: Array) -> None:
        """Give a constant other values, of its own shape and dtype. Raises ValueError for others."""
        if values.shape != constant.shape or values.dtype != constant.dtype:
            message = f"{constant!r} is {constant.dtype} {constant.shape}, not {values.dtype} {values.shape}"
            raise ValueError(message)
        self.revision += 1
        constant.values = values
        self.changed += constant.outputs

    def rename(self, tensor: Tensor, stem: str) -> None:
        """Give a tensor inside the model another name, which no other has. Nothing outside may know it by the old."""
        self.revision += 1
        tensor.name = self.fresh(stem)

    def undeclare(self, tensor: Variable) -> None:
        """Forget the dtype and shape that a file declares for a tensor inside the model: they follow from the nodes."""
        if tensor.type == "tensor_type" and (tensor.dtype is not None or tensor.shape is not None or tensor.info):
            self.revision += 1
            tensor.dtype, tensor.shape, tensor.info = None, None, None

    def remove_unused(self, nodes: Sequence[Node]) -> int:
        """Remove those of the nodes whose outputs nobody uses, until none is left. Returns how many."""
        candidates = set(nodes)
        dead = [node for node in nodes if not any(map(self.is_used, node.outputs))]
        removed = 0
        while dead:
            node = dead.pop()
            if node not in self.home:
                continue
            sources = [tensor.producer for tensor in walk.uses(node)]
            self._detach(node)
            removed += 1
            dead += [n for n in sources if n in candidates and not any(map(self.is_used, n.outputs))]
        return removed

    def flush(self) -> None:
        """Bring `graph.nodes` and `graph.initializers` up to date, in topological order."""
        for graph, unsorted in self._dirty.items():
            order: list[Node] = []
            stack = list(reversed(graph.nodes))
            while stack:
                node = stack.pop()
                earlier = self._pending.pop(node, None)
                if earlier:
                    stack.append(node)
                    stack.extend(reversed(earlier))
                elif node in self.home:
                    order.append(node)
            graph.nodes[:] = order
            if unsorted:
                walk.sort(graph)
        self._dirty.clear()
        orphans = {tensor for tensor in self._orphans if not self.is_used(tensor)}
        if orphans:
            for graph in walk.graphs(self.graph):
                graph.initializers[:] = [held for held in graph.initializers if held not in orphans]
        self._orphans.clear()

    def drop_unused_initializers(self) -> int:
        """Remove initializers that nothing reads, returns or names as a quantisation parameter. Returns how many."""
        dropped = 0
        for graph in walk.graphs(self.graph):
            named = {
                entry.value
                for annotation in graph.quantization_annotation
                for entry in annotation.quant_parameter_tensor_names
            }
            kept = [held for held in graph.initializers if self.is_used(held) or held.name in named]
            dropped += len(graph.initializers) - len(kept)
            graph.initializers[:] = kept
        self.revision += bool(dropped)
        return dropped

    def declare(self, constant: Constant) -> Constant:
        """Give a new constant a name and make it an initializer of the outermost graph."""
        if constant.name == UNNAMED:
            constant.name = self.fresh("constant")
        self.graph.initializers.append(constant)
        return constant

    # ---- inside ----

    def _move_readers(self, old: Tensor, new: Tensor) -> None:
        for reader in dict.fromkeys(old.outputs):
            for index, tensor in enumerate(reader.inputs):
                if tensor is old:
                    list.__setitem__(reader.inputs, index, new)
                    list.append(new.outputs, reader)
        self.changed += old.outputs
        self.thinned += old.inputs
        list.clear(old.outputs)
        if isinstance(old, Constant):
            self._orphans.add(old)

    def _release(self, old: Tensor) -> None:
        """Leave its producer without it; beside outputs that are used there stands another, as few may be omitted."""
        for producer in list(old.inputs):
            beside = any(self.is_used(tensor) for tensor in producer.outputs if tensor is not old)
            spare = Variable(self.fresh(f"{old.name}_unused") if beside else "")
            producer.outputs[_index(producer.outputs, old)] = spare

    def _keeper(self, old: Tensor, new: Tensor) -> Node:
        """The node that computes `old` from `new` only because a graph must return it under this name."""
        self.model.opsets.setdefault("", KEEPER_OPSET)
        name = self.fresh(old.name + "_kept")
        if isinstance(new, Constant):
            return Node("Constant", name, {"value": Constant("", new.stored)}, [], [old])
        return Node("Identity", name, {}, [new], [old])

    def _node(self, draft: Draft, old_of: Mapping[Tensor, Tensor], rewrite: Rewrite, rule: str) -> Node:
        """The node for a draft; an output that replaces a tensor becomes that tensor, which keeps its name."""
        stem = rewrite.root.name or rewrite.root.outputs[0].name
        outputs: list[Tensor] = []
        for tensor in draft.outputs:
            old = old_of.get(tensor)
            if old is not None:
                self._release(old)
            elif tensor.name == UNNAMED:
                tensor.name = self.fresh(f"{stem}_{draft.op}")
            outputs.append(tensor if old is None else old)
        inputs = [old_of.get(t, t) if t.name == UNNAMED and isinstance(t, Variable) else t for t in draft.inputs]
        for tensor in inputs:
            if tensor.name == UNNAMED and isinstance(tensor, Constant):
                tensor.name = self.fresh(f"{stem}_constant")
                self.declare(tensor)
        metadata: dict[str, str] = {}
        if self.model.ir_version >= METADATA_SINCE and not draft.bare:
            for node in reversed(rewrite.before):
                metadata.update(node.metadata)
            metadata |= {RULE: rule, SOURCES: _sources(rewrite.before), **draft.metadata}
        name = draft.name or self.fresh(f"{stem}_{draft.op}")
        node = Node(draft.op, name, draft.attrs, inputs, outputs, draft.domain, metadata=metadata)
        self._owner.update((graph, node) for graph in subgraphs(node))
        return node

    def _bring_out(self, nodes: Sequence[Node], graph: Graph) -> None:
        """Take nodes out of the nested graphs they are in, with the constants declared there; their outputs get
        names of their own where graphs beside each other used the same."""
        moved = set(nodes)
        for inner in dict.fromkeys(self.home[node] for node in nodes):
            inner.nodes[:] = [node for node in inner.nodes if node not in moved]
            self._forget(inner)
            named = [tensor for node in nodes for tensor in node.outputs if tensor.name]
            for named_here in (*named, *inner.initializers, *nodes):
                if named_here.name in self._ambiguous:
                    named_here.name = self.fresh(named_here.name)
            graph.initializers += inner.initializers
            inner.initializers.clear()

    def _insert(self, nodes: list[Node], root: Node, graph: Graph) -> None:
        self._pending.setdefault(root, []).extend(nodes)
        self._dirty.setdefault(graph, False)
        self.changed += nodes
        for node in nodes:
            self.home[node] = graph

    def _detach(self, node: Node) -> None:
        self._dirty.setdefault(self.home.pop(node), False)
        self.revision += 1
        stack = [node]
        while stack:
            gone = stack.pop()
            self.thinned += [tensor.producer for tensor in gone.inputs if tensor.producer is not None]
            self._orphans.update(tensor for tensor in gone.inputs if isinstance(tensor, Constant))
            for graph in subgraphs(gone):
                if self._owner.get(graph) is gone:
                    self._forget(graph)
                    stack.extend(graph.nodes)
            gone.inputs.clear()
            gone.outputs.clear()

    def _forget(self, graph: Graph) -> None:
        for tensor in graph.outputs:
            self._returned.get(tensor, {}).pop(graph, None)
            if not self._returned.get(tensor):
                self._returned.pop(tensor, None)
        for node in graph.nodes:
            self.home.pop(node, None)


def implied_imports(calls: Iterable[Draft | Node], opsets: Mapping[str, int]) -> dict[str, int]:
    """The domains, with versions, that new calls use, `opsets` lacks, and that need no more than to be imported."""
    domains = dict.fromkeys(call.domain for call in calls)
    return {domain: IMPLIED[domain] for domain in domains if domain in IMPLIED and domain not in opsets}


def _sources(nodes: Iterable[Node]) -> str:
    """The names of the nodes of the original that these are, or stand for; not more than a reader wants."""
    names: dict[str, None] = {}
    for node in nodes:
        names.update(dict.fromkeys(node.metadata[SOURCES].split() if SOURCES in node.metadata else [node.name]))
    names.pop("", None)
    return " ".join(list(names)[:MOST_SOURCES])


def _index(tensors: Sequence[Tensor], wanted: Tensor) -> int:
    return next(index for index, tensor in enumerate(tensors) if tensor is wanted)
