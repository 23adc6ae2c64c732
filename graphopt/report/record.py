"""The report of a compile as frozen values; `to_json` is exactly these fields."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphopt.ir import walk
from graphopt.ir.model import Model
from graphopt.ir.types import Constant
from graphopt.pipeline.journal import Entry, StepRecord, Table, Verdict
from graphopt.report.encode import to_json
from graphopt.report.layers import Layer
from graphopt.rewrite.driver import Refusal

if TYPE_CHECKING:
    from graphopt.budget.record import Budgeted
    from graphopt.measure.environment import Environment
    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.record import Bench

SCHEMA = 1
"""Version of the JSON layout; grows when a field changes its meaning or vanishes."""


@dataclass(frozen=True)
class Size:
    """How big a model is. nodes: at the top level; all_nodes: with subgraphs; weight_bytes: of all constant tensors.

    file_bytes: of its file and of those beside it that hold its weights; None where there is no file.
    """

    nodes: int
    all_nodes: int
    weight_bytes: int
    opsets: dict[str, int]
    operators: dict[str, int]
    file_bytes: int | None = None


def measure(model: Model) -> Size:
    """The size of a model as it stands. Decodes no weights."""
    weights = sum(tensor.nbytes for tensor in weights_of(model))
    names = Counter(f"{node.domain}::{node.op}" if node.domain else node.op for node in walk.nodes(model.graph))
    operators = dict(sorted(names.items(), key=lambda item: (-item[1], item[0])))
    return Size(len(model.graph.nodes), names.total(), weights, dict(model.opsets), operators)


def weights_of(model: Model) -> Iterator[Constant]:
    """Every constant tensor of the model, also defaults of inputs and what `Constant` nodes hold."""
    yield from (tensor for tensor in walk.tensors(model.graph) if isinstance(tensor, Constant))
    for graph in walk.graphs(model.graph):
        yield from graph.defaults.values()
    for node in walk.nodes(model.graph):
        if node.op == "Constant":
            yield from (value for value in node.attrs.values() if isinstance(value, Constant))


@dataclass(frozen=True)
class Report:
    """What a compile did.

    rewrites: kept, in the order in which they were made. rolled_back: found wrong, left out. unverified: kept, though
    they could not be checked. refusals: why rules left places alone, the deepest reason for each. contract: of all
    rewrites together, or "none" where they do not add up.
    budget: the limits that were set, and what was left out to keep them. evaluation, bench: of the original and the
    result, in this order, as far as they were scored and timed.
    cached: whether the result was compiled earlier and came from the cache.
    tables: what passes found out and want to tell, in the order of the passes.
    layers: of the result. They and the environment are only noted where a report is written.
    """

    model: str
    pipeline: str
    level: str
    before: Size
    after: Size
    steps: tuple[StepRecord, ...]
    rewrites: tuple[Entry, ...]
    rolled_back: tuple[Entry, ...]
    unverified: tuple[Entry, ...]
    whole: Verdict
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]
    contract: str
    seconds: float
    regions_checked: int
    versions: dict[str, str]
    tables: tuple[Table, ...] = ()
    layers: tuple[Layer, ...] = ()
    environment: Environment | None = None
    budget: Budgeted | None = None
    evaluation: Evaluation | None = None
    bench: Bench | None = None
    cached: bool = False
    schema: int = SCHEMA

    @property
    def hits(self) -> dict[str, int]:
        """Kept rewrites by rule, most frequent first."""
        return dict(Counter(entry.rule for entry in self.rewrites).most_common())

    @property
    def clean(self) -> bool:
        """Whether everything was checked and nothing had to be rolled back."""
        return not self.rolled_back and not self.unverified and self.whole.status not in ("wrong", "unverified")

    def to_dict(self) -> dict[str, Any]:
        """The report as values that JSON can hold."""
        return dataclasses.asdict(self)

    def to_json(self, indent: int | None = 2) -> str:
        """The report as JSON text; infinite errors are written as the text "inf"."""
        return to_json(self, indent)

    def __str__(self) -> str:
        from graphopt.report.text import render

        return render(self)
