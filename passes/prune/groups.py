"""What can be cut: groups of atoms, and the constants along which they lie."""

from __future__ import annotations

from dataclasses import dataclass

from graphopt.ir.types import Constant, Node, Tensor
from passes.prune.kind import Kind
from passes.prune.sites import Ints, Pin
from passes.prune.ties import Role


@dataclass(frozen=True, eq=False)
class Member:
    """A use of a constant along an axis on which atoms lie.

    user: the call to which it is what `role` says. node, position: the call that reads the constant, and as which
    input: the user itself, or one that only lays the weights in another way for it. tensor: that input. constant: its
    values. axis: of the constant.
    labels: for each index along the axis its atom, or -1 for one that belongs to no atom of the group.
    """

    user: Node
    node: Node
    position: int
    tensor: Tensor
    constant: Constant
    axis: int
    labels: Ints
    role: Role


@dataclass(frozen=True, eq=False)
class Group:
    """Atoms that are made by the same weights, so that one is chosen over another.

    name: of the first weight that makes them. atoms: their numbers. pins: why none of them can be cut, if so.
    exact: whether a cut computes what it did with the consumers of its atoms zeroed; not where atoms are averaged over.
    """

    name: str
    kind: Kind
    atoms: Ints
    members: tuple[Member, ...]
    pins: tuple[Pin, ...] = ()
    exact: bool = True

    @property
    def size(self) -> int:
        """Number of atoms."""
        return len(self.atoms)

    def of(self, role: Role) -> tuple[Member, ...]:
        """The members in a role."""
        return tuple(member for member in self.members if member.role is role)

    @property
    def producers(self) -> tuple[Member, ...]:
        """The factors that make the atoms."""
        return self.of(Role.PRODUCER)

    @property
    def followers(self) -> tuple[Member, ...]:
        """The vectors along the atoms."""
        return self.of(Role.FOLLOWER)

    @property
    def consumers(self) -> tuple[Member, ...]:
        """The factors that sum over the atoms."""
        return self.of(Role.CONSUMER)
