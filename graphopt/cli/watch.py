"""What the command line watches a compile with: a line that shows progress, and a folder of models in between."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.errors import UsageError
from graphopt.ir.external import weight_files
from graphopt.report.style import counted, shown

if TYPE_CHECKING:
    from rich.text import Text

    from graphopt.pipeline.context import Context
    from graphopt.pipeline.journal import StepRecord


class Silent:
    """An observer that does nothing; base of the others."""

    def pass_begins(self, context: Context, step: str) -> None:
        """A pass is about to run."""

    def pass_ends(self, context: Context, record: StepRecord) -> None:
        """A pass has run."""

    def message(self, text: str) -> None:
        """Something worth telling."""


class Progress(Silent):
    """One line on a terminal: what runs now, since when, and how many rewrites there are so far."""

    def __init__(self) -> None:
        self.doing = "reading"
        self.context: Context | None = None
        self.started = time.monotonic()

    def pass_begins(self, context: Context, step: str) -> None:
        """Show the pass."""
        self.doing, self.context = f"pass {step}", context

    def message(self, text: str) -> None:
        """Show the text."""
        self.doing = text

    def __rich__(self) -> Text:
        from rich.text import Text

        counts = "" if self.context is None else f", {counted(len(self.context.keys), 'rewrite')}"
        seconds = time.monotonic() - self.started
        return Text(f"{shown(self.doing)}{counts}, {seconds:.0f} s", style="dim", no_wrap=True, overflow="ellipsis")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """A progress line while the block runs, gone afterwards; nothing in a pipe or if `quiet`."""
    from graphopt.cli.terminal import console

    line = Progress()
    if quiet or not (terminal := console(stderr=True)).is_terminal:
        yield line
        return
    from rich.live import Live

    with Live(line, console=terminal, refresh_per_second=8, transient=True):
        yield line


class Dumps(Silent):
    """Writes the model after each pass: `01-clean.onnx`, `02-fold.onnx` and so on.

    When a compile starts again to leave out a wrong rewrite, its models replace the earlier ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: list[Path] = []
        self._compile: Context | None = None

    def pass_ends(self, context: Context, record: StepRecord) -> None:
        """Write the model as the pass left it."""
        if context is not self._compile:
            self._compile = context
            for path in self.written:
                path.unlink(missing_ok=True)
            self.written.clear()
        step = re.sub(r"[^\w.+=-]", "_", record.step)
        path = self.folder / f"{len(self.written) + 1:02d}-{step}.onnx"
        context.model.save(path)
        self.written.append(path)


class InputGuard(Silent):
    """Sees to it that none of the files to be written holds weights of the input."""

    def __init__(self, outputs: Collection[Path]) -> None:
        self.outputs = outputs
        self._looked = False

    def pass_begins(self, context: Context, step: str) -> None:  # noqa: ARG002 - any step: the first counts
        """Raises UsageError if an output is an input; looks only once."""
        if self._looked:
            return
        self._looked = True
        self.check(weight_files(context.model))

    def check(self, sources: Iterable[Path]) -> None:
        """Raises UsageError if an output is one of the files."""
        for source in sources:
            for output in self.outputs:
                if same_file(source, output):
                    raise UsageError(f"{output} holds weights of the model itself; choose another name for the output")


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths name one file, also through links; of files that do not exist, whether the paths agree."""
    try:
        return a.samefile(b)
    except OSError:
        return os.path.realpath(a) == os.path.realpath(b)
