"""Two-way lists: what a node reads and who reads a tensor are one relation, kept at both ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, SupportsIndex


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
