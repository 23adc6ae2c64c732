"""Letters for axes, as `Einsum` has them: read once for all calls whose operands have the same ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from passes.prune.ties.role import Role, Untold

STAYS = "_*"
"""What stands for an axis that stays as it is, and for all axes of the middle, which do."""
Place = tuple[int, int]
"""An operand, counted through inputs and outputs, and one of its axes."""


@dataclass(frozen=True)
class Letters:
    """What letters say of operands of known ranks.

    tied: the places of each letter. summed: of those, the ones of letters that no output has. stays: axes that stay.
    roles: what constants are along their axes.
    """

    tied: tuple[tuple[Place, ...], ...]
    summed: tuple[tuple[Place, ...], ...]
    stays: tuple[Place, ...]
    roles: tuple[tuple[Place, Role], ...]


@lru_cache(maxsize=1024)
def read(text: str, inputs: tuple[int | None, ...], outputs: tuple[int | None, ...]) -> Letters:
    """What `text` says of inputs and outputs of these ranks; None for those that are not there.

    Raises Untold for ranks that the letters do not have.
    """
    left, right = (
        [_spelled(names, rank) for names, rank in zip(side.split(","), ranks, strict=False)]
        for side, ranks in zip(text.split("->"), (inputs, outputs), strict=True)
    )
    named = [*left, *[""] * (len(inputs) - len(left)), *right]
    where: dict[str, list[Place]] = {}
    for name, place in _places(named):
        where.setdefault(name, []).append(place)
    stays = [place for name in STAYS for place in where.pop(name, ())]
    made = set("".join(right))
    summed = {name: tuple(places) for name, places in where.items() if name not in made}
    factors = [any(name in summed for name in names) for names in left]
    roles = [
        ((operand, axis), _role(factor=factors[operand], summed=name in summed))
        for name, (operand, axis) in _places(left)
        if name not in STAYS
    ]
    return Letters(tuple(map(tuple, where.values())), tuple(summed.values()), tuple(stays), tuple(roles))


def _spelled(names: str, rank: int | None) -> str:
    """One name for each axis of an operand; none for one that is not there."""
    if rank is None or not names:
        return ""
    missing = rank - len(names)
    if missing < -1 or (missing and "*" not in names):
        raise Untold(f"one of its operands has {rank} axes")
    return names.replace("*", "*" * (missing + 1))


def _places(named: Sequence[str]) -> Iterator[tuple[str, Place]]:
    for operand, names in enumerate(named):
        for axis, name in enumerate(names):
            yield name, (operand, axis)


def _role(*, factor: bool, summed: bool) -> Role:
    if summed:
        return Role.CONSUMER
    return Role.PRODUCER if factor else Role.FOLLOWER
