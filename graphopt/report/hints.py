"""The types of a record's fields. Records of measurements are imported here, not where a compile needs them not."""

from __future__ import annotations

from typing import Any, get_type_hints


def hints(record: type) -> dict[str, Any]:
    """The type of each field of a record of a report, by name."""
    from graphopt.budget.record import Budgeted
    from graphopt.measure.environment import Environment
    from graphopt.measure.evaluate import Evaluation
    from graphopt.measure.record import Bench

    measured = (Budgeted, Environment, Evaluation, Bench)
    return get_type_hints(record, localns={one.__name__: one for one in measured})
