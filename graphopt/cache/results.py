"""The cache of results: `Cache().optimize(...)` is `graphopt.optimize(...)`, but at once where it was done before."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphopt.api import optimize
from graphopt.budget.values import size
from graphopt.cache.key import Unkeyed, files_of, key
from graphopt.cache.store import Store, written
from graphopt.compile import Result
from graphopt.errors import GraphoptError
from graphopt.ir.reader import load
from graphopt.report.decode import from_json
from graphopt.report.record import Report

FOLDER, LIMIT = "GRAPHOPT_CACHE", "GRAPHOPT_CACHE_SIZE"
"""Variables of the environment: the folder, and how much it may hold."""
DEFAULT_LIMIT = 4_000_000_000
SHARE = 2
"""An entry may take one part in so many of the limit; larger results are not kept."""
MODEL, REPORT = "model.onnx", "report.json"
SIGNATURE = inspect.signature(optimize)


def default_folder() -> Path:
    """$GRAPHOPT_CACHE, else graphopt in $XDG_CACHE_HOME, by default ~/.cache."""
    if given := os.environ.get(FOLDER):
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "graphopt"


def default_limit() -> int:
    """$GRAPHOPT_CACHE_SIZE, such as 500MB, else 4 GB. Raises UsageError for anything else."""
    given = os.environ.get(LIMIT)
    return size(given, LIMIT) if given else DEFAULT_LIMIT


@dataclass(frozen=True)
class Cache:
    """Results of earlier compiles.

    folder: where they lie; any number of processes may share it. limit: bytes of all of them; those that were not used
    for longest go first, and results of more than half of it are not kept. Raises UsageError.
    """

    folder: Path = field(default_factory=default_folder)
    limit: int = field(default_factory=default_limit)

    def optimize(self, source: Any, **options: Any) -> Result:
        """As `graphopt.optimize`; a result from the cache says so in its report (`cached`).

        Compiled anew is what cannot be told by its content (models and passes that are objects, a runner), and what
        would be larger than the cache keeps. Trouble with the cache is noted in the report, and never an error.
        """
        bound = SIGNATURE.bind(source, **options)
        bound.apply_defaults()
        if not isinstance(source, str | Path):
            return optimize(source, **options)
        files = files_of(source, allow_outside=bound.arguments["allow_outside"])
        before = _stamps(files)
        if sum(one[0] for one in before) > self.limit // SHARE:
            return optimize(source, **options)
        try:
            name = key(bound.arguments, files)
        except Unkeyed:
            return optimize(source, **options)
        for observer in bound.arguments["observers"]:
            observer.message("looking into the cache")
        found = self._recall(name, source)
        if found is not None:
            return found
        made = optimize(source, **options)
        return self._kept(name, made) if _stamps(files) == before else made

    @property
    def _store(self) -> Store:
        return Store(self.folder, self.limit)

    def _recall(self, name: str, source: str | Path) -> Result | None:
        """The result under a key, if it is there and whole."""
        folder = self._store.read(name)
        if folder is None:
            return None
        try:
            report = from_json(Report, (folder / REPORT).read_bytes())
            model = load(folder / MODEL)
        except (OSError, ValueError, TypeError, GraphoptError):  # of another version, or removed while it was read
            self._store.remove(name)
            return None
        if not all(Path(one).exists() for one in _reproducers(report)):
            return None
        return Result(model, dataclasses.replace(report, model=str(source), cached=True))

    def _kept(self, name: str, made: Result) -> Result:
        """The result, which is in the cache now, or says why it is not."""
        if made.report.after.weight_bytes > self.limit // SHARE:
            return made

        def write(folder: Path) -> None:
            made.model.save(folder / MODEL)
            written(folder / REPORT, made.report.to_json().encode())

        try:
            self._store.write(name, write)
        except (OSError, GraphoptError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            note = f"the result was not put into the cache ({self.folder}): {reason}"
            return Result(made.model, dataclasses.replace(made.report, notes=(*made.report.notes, note)))
        return made


def _stamps(files: Sequence[Path]) -> list[tuple[int, ...]]:
    """What changes when a file is replaced or written: first its bytes."""
    found = map(os.stat, files)
    return [(one.st_size, one.st_mtime_ns, one.st_ino, one.st_dev) for one in found]


def _reproducers(report: Report) -> Mapping[str, None]:
    """The folders of which a report says that they show a fault."""
    return dict.fromkeys(entry.verdict.reproducer for entry in report.rolled_back if entry.verdict.reproducer)
