"""`graphopt view`: a graph in the browser, alone or with what became of another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphopt.cli.options import AllowOutside, Json, ModelFile
from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.ir.model import Model

Diff = Annotated[
    Path | None,
    typer.Option("--diff", metavar="ORIGINAL", help="Mark what is kept, fused, added, replaced or removed since this."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="With --diff: write the marked graph, show nothing."),
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Serve it, but open no browser.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Where to serve it; by default a free port.")]


def view(
    model: ModelFile,
    diff: Diff = None,
    output: Output = None,
    json: Json = False,
    no_browser: NoBrowser = False,
    port: Port = 0,
    allow_outside: AllowOutside = False,
) -> None:
    """Show a graph in Netron, in the browser, until it is interrupted.

    With --diff the graph shows what became of the nodes of ORIGINAL; --json only prints that.
    """
    from graphopt.cli import browse
    from graphopt.cli.files import check_outputs
    from graphopt.ir.reader import load

    if diff is None and (json or output):
        raise UsageError(f"{'--json' if json else '--output'} is about a difference: give --diff ORIGINAL")
    if output is not None and diff is not None:
        for path in (model, diff):
            check_outputs(path, [output])
    elif not json:
        browse.check()
    loaded = load(model, allow_outside=allow_outside)
    if diff is None:
        browse.show_file(model, port, browser=not no_browser)
    else:
        _difference(
            loaded, load(diff, allow_outside=allow_outside), output, json=json, port=port, browser=not no_browser
        )


def _difference(model: Model, original: Model, output: Path | None, *, json: bool, port: int, browser: bool) -> None:
    """Say what became of the nodes, and, unless only that was asked for, write or show the marked graph."""
    from graphopt.cli import browse
    from graphopt.cli.files import write_bytes
    from graphopt.cli.terminal import emit, show
    from graphopt.report.changes import changes
    from graphopt.report.changes_text import layout
    from graphopt.report.marked import marked

    record, difference = changes(model, original)
    if json:
        emit(record.to_json())
    else:
        show(layout(record))
    if output is None and json:
        return
    content = marked(model, original, difference).SerializeToString()
    if output is not None:
        write_bytes(output, content)
    else:
        browse.show_bytes(content, "difference.onnx", port, browser=browser)
