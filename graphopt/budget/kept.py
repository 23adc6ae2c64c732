"""What came of a compile within a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.budget.record import Budgeted
    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.record import Bench
    from graphopt.pipeline import manager


@dataclass(frozen=True)
class Kept:
    """The compile that stays within the budget, or the best that was found.

    evaluation, bench: of the original and the result, where there are data and a metric, or limits on time.
    """

    outcome: manager.Outcome
    budgeted: Budgeted | None = None
    evaluation: Evaluation | None = None
    bench: Bench | None = None
