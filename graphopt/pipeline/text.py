"""Pipelines as text that round-trips: `clean,fix(canonical,fold,fuse:only=gelu+layer_norm),@more.toml`.

pipeline = item { "," item }
item     = name { ":" option "=" value } | "fix" "(" pipeline ")" | "@" file
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from graphopt.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_VALUE = re.compile(r"[^,:()\s]+")
_FILE = re.compile(r"@[^,()]+")
_INCLUDED = re.compile(r"(?P<before>(?:^|[,(])\s*@)(?P<file>[^,()]+)")
MAX_DEPTH = 20


@dataclass(frozen=True)
class Step:
    """One pass with its options, as written. `origin` is the file in which it was written, if in one."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    origin: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.name + "".join(f":{name}={value}" for name, value in self.options)


@dataclass(frozen=True)
class Fix:
    """A pipeline repeated until a round changes nothing."""

    body: tuple[Item, ...]

    def __str__(self) -> str:
        return f"fix({','.join(map(str, self.body))})"


Item = Step | Fix


@dataclass(frozen=True)
class Pipeline:
    """Passes in order. `str` gives the text that parses to an equal pipeline, files spelled out.

    files: the files that it includes, each once, in the order in which they were read.
    """

    items: tuple[Item, ...]
    files: tuple[Path, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return ",".join(map(str, self.items))

    def steps(self) -> Iterator[Step]:
        """Every step, also those inside `fix(...)`, in the order in which they stand."""
        stack = list(reversed(self.items))
        while stack:
            item = stack.pop()
            if isinstance(item, Fix):
                stack.extend(reversed(item.body))
            else:
                yield item


def parse(text: str, folder: Path | None = None, depth: int = 0, origin: Path | None = None) -> Pipeline:
    """The pipeline that `text` spells. Files (`@path`, TOML with `passes = "..."` or a list) are relative to
    `folder`, default the current one. `origin` is the file in which the text stands. Raises UsageError pointing at
    the place that cannot be read.
    """
    reader = _Reader(text, folder or Path(), depth, origin)
    items = reader.items()
    if reader.at < len(text):
        reader.fail("expected , or the end")
    return Pipeline(items, tuple(dict.fromkeys(reader.files)))


def moved(text: str, folder: Path) -> str:
    """A text whose files are relative to `folder`, for one who reads it in the current folder."""

    def path(found: re.Match[str]) -> str:
        file = str(folder / found["file"].strip())
        if re.search(r"[,()]", file):
            raise UsageError(f"pipeline: the file name {file} cannot stand in a pipeline, because of its , ( or )")
        return found["before"] + file

    return _INCLUDED.sub(path, text)


class _Reader:
    """A recursive-descent reader of one text."""

    def __init__(self, text: str, folder: Path, depth: int, origin: Path | None) -> None:
        self.text, self.folder, self.depth, self.origin, self.at = text, folder, depth, origin, 0
        self.files: list[Path] = []
        if depth > MAX_DEPTH:
            raise UsageError("pipeline files or fix(...) are nested too deeply; does a file include itself?")

    def fail(self, expected: str) -> NoReturn:
        where = f"pipeline file {self.origin}" if self.origin else "pipeline"
        raise UsageError(f"{where}: {expected} at position {self.at + 1}\n  {self.text}\n  {' ' * self.at}^")

    def take(self, pattern: re.Pattern[str], expected: str) -> str:
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            return self.fail(f"expected {expected}")
        self.at = found.end()
        return found[0]

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def accept(self, character: str) -> bool:
        self.skip()
        if self.text[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True

    def items(self) -> tuple[Item, ...]:
        items = list(self.item())
        while self.accept(","):
            items.extend(self.item())
        return tuple(items)

    def item(self) -> tuple[Item, ...]:
        self.skip()
        if self.text[self.at : self.at + 1] == "@":
            return self.include(Path(self.take(_FILE, "a file name").strip()[1:]))
        name = self.take(_NAME, "the name of a pass")
        if name == "fix" and self.accept("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.fail("fix(...) is nested too deeply")
            body = self.items()
            if not self.accept(")"):
                self.fail("expected , or )")
            self.depth -= 1
            return (Fix(body),)
        options = []
        while self.accept(":"):
            option = self.take(_NAME, "the name of an option")
            if not self.accept("="):
                self.fail("expected =")
            options.append((option, self.take(_VALUE, "a value")))
        return (Step(name, tuple(options), self.origin),)

    def include(self, name: Path) -> tuple[Item, ...]:
        import tomllib

        path = self.folder / name
        try:
            passes = tomllib.loads(path.read_text("utf-8"))["passes"]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"pipeline file {path} is not TOML: {error}") from error
        except OSError as error:
            raise UsageError(f"pipeline file {path}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"pipeline file {str(path)!r}: {error}") from error
        except KeyError as error:
            raise UsageError(f'pipeline file {path} has no key "passes", such as passes = "fold,fuse"') from error
        text = ",".join(passes) if isinstance(passes, list) and all(isinstance(one, str) for one in passes) else passes
        if not isinstance(text, str):
            raise UsageError(f"pipeline file {path}: passes must be a text or a list of texts")
        included = parse(text, path.parent, self.depth + 1, path)
        self.files += [path, *included.files]
        return included.items
