"""Compiles with some of their units left out, each made once and kept as a file only while it is needed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from graphopt.budget.search import Left, Unit
from graphopt.ir.atomic import told
from graphopt.numerics.contract import LOOSE, parse_contract
from graphopt.pipeline import manager
from graphopt.pipeline.context import Context
from graphopt.pipeline.registry import without

FILES = 4
"""Models held on the disk at a time."""
T = TypeVar("T")


def units_of(context: Context) -> tuple[Unit, ...]:
    """What can be left out of a compile: of passes with lossy rewrites those, of other passes that did anything all.

    They stand in the order in which their passes first did something.
    """
    found: dict[str, list[Unit]] = {}
    for entry in context.journal.entries:
        if entry.kept:
            lossy = isinstance(parse_contract(entry.contract), LOOSE)
            found.setdefault(entry.step, []).extend([Unit(entry.step, context.keys[entry.number])] if lossy else [])
    return tuple(unit for step, lossy in found.items() for unit in lossy or [Unit(step)])


def reduced(job: manager.Compile, left: Left) -> manager.Compile:
    """The compile without the units."""
    keys = [unit.key for unit in sorted(left, key=repr) if unit.key is not None]
    steps = {unit.step for unit in left if unit.key is None}
    return dataclasses.replace(job, pipeline=without(job.pipeline, steps), left_out=[*job.left_out, *keys])


class Trials:
    """What comes of a compile when units are left out.

    job: the compile, which is not compared as a whole. folder: where models lie; it belongs to this object alone.
    """

    def __init__(self, job: manager.Compile, folder: Path, watch: Callable[[str], None]) -> None:
        self.job = dataclasses.replace(job, whole=None, observers=())
        self.folder, self.watch = folder, watch
        self.made = 0
        self._units: dict[Left, tuple[Unit, ...]] = {}
        self._files: OrderedDict[Left, Path] = OrderedDict()
        self._known: dict[tuple[str, Left], Any] = {}

    def hold(self, left: Left, context: Context) -> Path:
        """Keep the result of a compile. Raises OutputError if there is no room."""
        name = hashlib.sha256("\n".join(sorted(map(repr, left))).encode("utf-8", "backslashreplace")).hexdigest()
        path = self.folder / name[:16] / "model.onnx"
        with told(path):
            path.parent.mkdir(exist_ok=True)
        context.model.save(path)
        self._units[left] = units_of(context)
        self._files[left] = path
        while len(self._files) > FILES:
            _, oldest = self._files.popitem(last=False)
            for one in oldest.parent.iterdir():
                one.unlink()
        return path

    def units(self, left: Left) -> Collection[Unit]:
        """What the result without `left` is made of."""
        if left not in self._units:
            self.file(left)
        return self._units[left]

    def file(self, left: Left) -> Path:
        """The result without `left`: a file that stays until others have been asked for."""
        if left in self._files:
            self._files.move_to_end(left)
            return self._files[left]
        self.made += 1
        self.watch(f"trying without {len(left)} of {len(self._units.get(frozenset(), ()))}")
        return self.hold(left, manager.run(reduced(self.job, left)).context)

    def known(self, what: str, left: Left, measure: Callable[[Path], T]) -> T:
        """What `measure` gives for the result without `left`; measured once for each `what`."""
        if (what, left) not in self._known:
            self._known[what, left] = measure(self.file(left))
        found: T = self._known[what, left]
        return found
