"""The rewrite that runs some members of a region in the other layout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from graphopt.ir import values
from graphopt.ir.edit import UNNAMED, Draft, Rewrite
from graphopt.ir.types import Array, Constant, Node, Tensor, Variable
from passes.fold.moved import Moved
from passes.layout.orders import Order, identity, inverse, then
from passes.layout.plan import Plan, Use
from passes.layout.region import permutation


class Change:
    """Collects the new calls for the members `group` of a planned region."""

    def __init__(self, plan: Plan, group: Iterable[Node]) -> None:
        self.plan, self.region = plan, plan.region
        self.group = dict.fromkeys(group)
        self.drafts: list[Draft] = []
        self.made: dict[tuple[Tensor, int], Tensor] = {}
        self.constants: dict[tuple[Constant, Order], Constant] = {}
        self.reads: dict[Constant, None] = {}

    def rewrite(self, root: Node) -> Rewrite:
        """The replacement, placed at `root`."""
        for node in self._sorted():
            self._call(node)
        replace: dict[Tensor, Tensor] = {}
        touched: dict[Tensor, Use] = {}
        for node in self.group:
            touched |= {use.root: use for tensor in (*node.inputs, *node.outputs) if (use := self._use(tensor))}
            replace |= {t: self.made[t, 0] for t in node.outputs if (t, 0) in self.made and self._same(t)}
        for use in touched.values():
            if use.maker in self.group:
                replace |= {view: self._lying(view, self.region.now(view)) for view in use.views if self._wanted(view)}
        others = [node for use in touched.values() for node in self._respelled(use, replace)]
        replace = {old: new for old, new in replace.items() if self.plan.editor.is_used(old)}
        views = dict.fromkeys(view.producer for use in touched.values() for view in use.views if view is not use.root)
        before = (*self.group, *(node for node in views if node is not None), *others)
        reads = frozenset(self.reads)
        return Rewrite(self.region.graph, root, before, tuple(self.drafts), replace, reads, unsorted=True)

    def _respelled(self, use: Use, replace: dict[Tensor, Tensor]) -> list[Node]:
        """Let other Transposes of a value read it as it is made. Returns those that were written anew."""
        found = []
        changes = use.maker in self.group
        layout = 1 - self.plan.own[use.maker] if changes else self.region.now(use.root)
        source = self.made[use.root, layout] if changes else use.root
        for view in use.views:
            stays = not changes and self.region.now(view) == layout
            readers = [] if stays else [node for node in dict.fromkeys(view.outputs) if self.plan.turns(node)]
            for node in readers:
                if node not in self.region.transposes:
                    orders = self.region.layouts[view]
                    perm = permutation(node, len(orders[0])) or ()
                    replace[node.outputs[0]] = self._turned(source, then(inverse(orders[layout]), perm))
                    found.append(node)
        return found

    def _turned(self, source: Tensor, perm: Order) -> Tensor:
        made = Variable(UNNAMED)
        self.drafts.append(Draft("Transpose", [source], [made], {"perm": list(perm)}))
        return made

    def _use(self, tensor: Tensor) -> Use | None:
        return self.plan.uses.get(self.region.root(tensor)) if tensor in self.region.layouts else None

    def _same(self, tensor: Tensor) -> bool:
        """Whether a result of the group does not depend on the layout."""
        return self._use(tensor) is None

    def _wanted(self, view: Tensor) -> bool:
        """Whether something that does not change uses a view."""
        return any(user not in self.group for user in self.plan.users(view))

    def _sorted(self) -> list[Node]:
        """The group, each call after those whose results it uses."""
        order: dict[Node, None] = {}
        for start in self.group:
            stack = [(start, False)]
            while stack:
                node, done = stack.pop()
                if done:
                    order.setdefault(node)
                elif node not in order:
                    stack.append((node, True))
                    sources = (self._source(tensor) for tensor in node.inputs)
                    stack.extend((source, False) for source in sources if source is not None and source in self.group)
        return list(order)

    def _source(self, tensor: Tensor) -> Node | None:
        return (self.region.root(tensor) if tensor in self.region.layouts else tensor).producer

    def _call(self, node: Node) -> None:
        """Write the call in the other layout."""
        member = self.region.members[node]
        layout = 1 - member.own
        inputs = [self._input(t, order, layout) for t, order in zip(node.inputs, member.inputs, strict=True)]
        for place, numbers in member.change.inputs.items():
            inputs += [Variable.empty()] * (place + 1 - len(inputs))
            inputs[place] = Constant(UNNAMED, np.asarray(numbers))
        attrs: dict[str, Any] = {**node.attrs, **member.change.attrs}
        attrs = {name: value for name, value in attrs.items() if value is not None}
        outputs = [Variable(UNNAMED) if tensor.name else Variable.empty() for tensor in node.outputs]
        for old, new in zip(node.outputs, outputs, strict=True):
            if old.name:
                self.made[old, 0 if self._same(old) else layout] = new
        self.drafts.append(Draft(node.op, inputs, outputs, attrs, node.domain, overload=node.overload))

    def _input(self, tensor: Tensor, order: Order | None, layout: int) -> Tensor:
        held = values.constant(tensor)
        if order is not None and held is not None:
            return self._constant(held, order)
        if tensor not in self.region.layouts or self._same(tensor):
            return self.made.get((tensor, 0), tensor)
        return self._lying(tensor, layout)

    def _lying(self, tensor: Tensor, layout: int) -> Tensor:
        """The value of which `tensor` is a view, in a layout; transposed if it is not there."""
        use = self.plan.uses[self.region.root(tensor)]
        if (use.root, layout) in self.made:
            return self.made[use.root, layout]
        if use.maker not in self.group:
            there = next((view for view in use.views if self.region.now(view) == layout), None)
            if there is not None:
                return there
            source, now = use.root, self.region.now(use.root)
        else:
            source, now = self.made[use.root, 1 - layout], 1 - layout
        orders = self.region.layouts[use.root]
        self.made[use.root, layout] = self._turned(source, then(inverse(orders[now]), orders[layout]))
        return self.made[use.root, layout]

    def _constant(self, held: Constant, order: Order) -> Constant:
        """A constant in another order; axes of length 1 are put in front first, and left out there afterwards."""
        if (held, order) not in self.constants:
            if held.outputs:
                self.reads[held] = None
            self.constants[held, order] = Constant(UNNAMED, turned(held, order))
        return self.constants[held, order]


def turned(held: Constant, order: Order) -> Array | Moved:
    """The values of a constant in another order of the axes, unread."""
    full = (1,) * (len(order) - len(held.shape)) + held.shape
    shape = tuple(full[axis] for axis in order)
    lead = next((place for place, dim in enumerate(shape) if dim != 1), len(shape)) if full != held.shape else 0
    if order == identity(len(order)):
        return held.stored if full == held.shape else Moved(held.stored, (("reshape", shape[lead:]),), shape[lead:])
    steps = (("reshape", full), ("transpose", order), ("reshape", shape[lead:]))
    return Moved(held.stored, steps, shape[lead:])
