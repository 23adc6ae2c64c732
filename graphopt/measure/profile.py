"""Where the time of a model goes: ONNX Runtime's profile, summed up by operator."""

from __future__ import annotations

import json
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

RUN, KERNEL = "model_run", "_kernel_time"
Event = Mapping[str, Any]


@dataclass(frozen=True)
class OperatorTime:
    """All nodes of one operator in one run of a model, as the runtime executes it: after its own fusions.

    provider: that runs them. seconds: without what nodes in their subgraphs take, which count on their own; by_node:
    the same, for each node by its name.
    """

    operator: str
    provider: str
    nodes: int
    seconds: float
    by_node: dict[str, float]


def operator_times(path: Path, skip: int = 0) -> tuple[OperatorTime, ...]:
    """The operators in a profile that the runtime has written, the slowest first; without the first `skip` runs."""
    return summed(json.loads(path.read_bytes()), skip)


def summed(events: Sequence[Event], skip: int = 0) -> tuple[OperatorTime, ...]:
    """The operators in the events of a profile, which tell microseconds."""
    runs = sorted(event["ts"] for event in events if event["name"] == RUN)[skip:]
    spent: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * len(runs)))
    for event, alone in _alone([event for event in events if _is_kernel(event)]):
        run = bisect(runs, event["ts"]) - 1
        if run < 0:
            continue
        arguments = event["args"]
        key = arguments["op_name"], arguments["provider"].removesuffix("ExecutionProvider").lower()
        spent[key][event["name"].removesuffix(KERNEL)][run] += alone
    rows = [_row(*key, nodes) for key, nodes in spent.items()]
    return tuple(sorted(rows, key=lambda row: (-row.seconds, row.operator)))


def _row(operator: str, provider: str, nodes: Mapping[str, Sequence[int]]) -> OperatorTime:
    """An operator, out of the microseconds that each of its nodes took in each run.

    Each node counts by its median: on a busy machine hardly a run passes in which none of them is disturbed.
    """
    alone = {name: median(times) / 1e6 for name, times in nodes.items()}
    return OperatorTime(operator, provider, len(nodes), sum(alone.values()), alone)


def _is_kernel(event: Event) -> bool:
    return event["cat"] == "Node" and str(event["name"]).endswith(KERNEL)


def _alone(events: Sequence[Event]) -> Iterator[tuple[Event, int]]:
    """Every event with its duration less that of the events inside it."""
    inside = [0] * len(events)
    around: list[int] = []
    order = sorted(range(len(events)), key=lambda index: (events[index]["ts"], -events[index]["dur"]))
    for index in order:
        event = events[index]
        while around and events[around[-1]]["ts"] + events[around[-1]]["dur"] < event["ts"] + event["dur"]:
            around.pop()
        if around:
            inside[around[-1]] += event["dur"]
        around.append(index)
    for index, event in enumerate(events):
        yield event, max(0, event["dur"] - inside[index])
