"""What the report of a compile says besides the compile itself: files, layers, and what was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.api import Result
    from graphopt.cli.optimize_options import Options
    from graphopt.report.record import Report


def completed(result: Result, options: Options) -> Report:
    """The report with the size of the written file; if a program or a file asks for it, with layers and environment."""
    report = replace(result.report, after=replace(result.report.after, file_bytes=_written(options.output)))
    if options.report is None and not options.json:
        return report
    from graphopt.measure.environment import environment
    from graphopt.report.layers import layers, worth_telling

    return replace(report, layers=worth_telling(layers(result.model)), environment=environment())


def _written(output: Path) -> int | None:
    """Bytes of a model that was just written, with its weights."""
    if not output.with_name(output.name + ".data").exists():
        return output.stat().st_size
    from graphopt.ir.external import bytes_on_disk
    from graphopt.ir.reader import load

    return bytes_on_disk(load(output, allow_outside=True))
