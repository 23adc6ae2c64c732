"""What still computes in floats after quantisation, its share of the time, and the reason: from ONNX Runtime itself.

The quantised model is loaded as it is deployed and run under the runtime's profiler. Whatever gives floats, and is
neither a conversion nor an integer kernel that rescales its sums, stayed float.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from graphopt.ir.types import Array
from graphopt.measure.isolated import isolated
from graphopt.measure.provider import open_session
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Table

RUNS, WARM = 8, 2
CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
RESCALING = frozenset({
    "QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulNBits", "DynamicQuantizeLSTM", "QAttention",
    "GatherBlockQuantized",
})  # fmt: skip
"""Kernels that compute in integers, and give floats."""
TITLE = "operators that stayed float"
COLUMNS = ("operator", "calls", "share of time", "first of them", "reason")
MOST_ROWS = 40


@dataclass(frozen=True)
class Executed:
    """A node as the runtime executes it. seconds: a median. floats: whether it computes in floats."""

    operator: str
    name: str
    seconds: float
    floats: bool


def executed(path: str, feeds: Mapping[str, Array]) -> list[Executed]:
    """The nodes that the runtime executes on these inputs, on one thread. Raises ModelError if it cannot."""
    with (
        tempfile.TemporaryDirectory(prefix="graphopt-") as folder,
        open_session(path, threads=1, profile=Path(folder) / "profile", name="the quantised model") as session,
    ):
        run = session.prepared(feeds)
        for _ in range(WARM + RUNS):
            run()
        return summed(json.loads(session.end_profile().read_bytes()))


def summed(events: Iterable[Mapping[str, Any]]) -> list[Executed]:
    """The nodes in the events of a profile, in the order of their first run."""
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    types: dict[tuple[str, str], bool] = {}
    for event in events:
        arguments = event.get("args", {})
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and "op_name" in arguments:
            key = arguments["op_name"], event["name"].removesuffix("_kernel_time")
            times[key].append(event["dur"])
            types[key] = _floating(arguments)
    return [
        Executed(operator, name, median(spent[WARM:] or spent) / 1e6, types[operator, name])
        for (operator, name), spent in times.items()
    ]


def _floating(arguments: Mapping[str, Any]) -> bool:
    operator = arguments["op_name"]
    given = any("float" in tensor for tensor in arguments.get("output_type_shape", ()))
    return given and operator not in CONVERSIONS and operator not in RESCALING


def table(nodes: Sequence[Executed], reasons: Mapping[str, str]) -> Table:
    """What stayed float, grouped by operator and reason, the slowest first.

    reasons: by the name of a node; nodes that it does not name have an operator without an integer kernel.
    """
    whole = sum(node.seconds for node in nodes) or 1.0
    groups: dict[tuple[str, str], list[Executed]] = defaultdict(list)
    for node in nodes:
        if node.floats:
            groups[node.operator, reasons.get(node.name, NO_KERNEL)].append(node)
    ordered = sorted(groups.items(), key=lambda group: -sum(node.seconds for node in group[1]))
    rows = tuple(
        (operator, len(held), _share(held, whole), held[0].name, reason) for (operator, reason), held in ordered
    )
    converting = [node for node in nodes if node.operator in CONVERSIONS]
    text = (
        f"{_share([node for node in nodes if node.floats], whole)} of the time on this machine is spent in floats, "
        f"{_share(converting, whole)} in conversions ({len(converting)}), the rest in integers."
    )
    return Table(TITLE, COLUMNS, rows[:MOST_ROWS], text)


NO_KERNEL = "the target has no integer kernel for it"


def _share(nodes: Iterable[Executed], whole: float) -> str:
    return f"{sum(node.seconds for node in nodes) / whole:.1%}"


def report(context: Context, reasons: Mapping[str, str]) -> None:
    """Run the quantised model of a compile on a batch of its calibration data, and put down what stayed float."""
    data = context.calibration
    batch = None if data is None else next(data.batches(limit=1), None)
    if batch is None:
        return
    context.editor.flush()
    context.say("looking at what stayed float")
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        path = Path(folder) / "model.onnx"
        context.model.save(path)
        nodes = isolated("running the quantised model", executed, str(path), dict(batch.feeds))
    found = table(nodes, reasons)
    if found.rows:
        context.tabulate(found)
    else:
        context.note(f"no operator stayed float: {found.text}")
