"""The README's table of what becomes one operator, by network and exporter: `python -m tests.corpus.fusions`.

A line says of one file how many nodes there were and are, and which compound operators the default pipeline has
written: those of ONNX Runtime's domain, and those of ai.onnx that are functions of others.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import onnx
from onnx import defs

import graphopt
from tests.corpus.files import models

README = Path(__file__).parents[2] / "README.md"
HEAD = "| network | exported by | nodes | operators written |\n|---|---|---|---|\n"
_TABLE = re.compile(re.escape(HEAD) + r"(?:\|[^\n]*\n)*")
EXPORTERS = {"ts": "PyTorch, TorchScript", "dynamo": "PyTorch, torch.export", "pytorch": "PyTorch, TorchScript"}
"""By the end of a file's name, and by what the file says of its producer, where that is not what people call it."""


def table() -> str:
    """The whole table."""
    rows = (row(path, graphopt.optimize(path, verify="off")) for path in models())
    return HEAD + "".join(rows)


def row(path: Path, result: graphopt.Result) -> str:
    """The line of one file; empty where no compound operator was written."""
    before = onnx.load(path, load_external_data=False)
    written = compound(result.model.to_proto()) - compound(before)
    if not written:
        return ""
    network, _, exporter = path.stem.partition(".")
    by = EXPORTERS.get(exporter or before.producer_name, before.producer_name or "unknown")
    names = ", ".join(f"{count} {name}" for name, count in sorted(written.items()))
    return f"| {network} | {by} | {result.report.before.nodes} → {result.report.after.nodes} | {names} |\n"


def compound(model: onnx.ModelProto) -> Counter[str]:
    """How often there is each operator that stands for several."""
    return Counter(node.op_type for node in model.graph.node if node.domain or _stands_for_several(node.op_type))


def _stands_for_several(name: str) -> bool:
    """Whether an operator of ai.onnx is a function, or one that only ONNX Runtime has."""
    if not defs.has(name):
        return True
    schema = defs.get_schema(name)
    return bool(schema.has_function or schema.has_context_dependent_function)


def shown() -> list[str]:
    """The lines of the table in the README."""
    (found,) = _TABLE.findall(README.read_text("utf-8"))
    return [f"{line}\n" for line in found.splitlines()]


def main() -> None:
    """Write the README's table anew."""
    made = table()
    README.write_text(_TABLE.sub(lambda _: made, README.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
