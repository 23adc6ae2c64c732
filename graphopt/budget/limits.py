"""A budget: the limits that somebody set, checked as far as they can be before any work."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphopt.budget import values
from graphopt.budget.values import Drop
from graphopt.errors import UsageError

FASTEST = 1e-6
"""Seconds below which no runtime comes back from a call."""


@dataclass(frozen=True, init=False)
class Budget:
    """What the result must stay within; None is no limit.

    max_drop: how much worse the metric may be than the original's. max_latency: seconds of a run (median, one sample).
    max_size: bytes of the file, with its external data. never_slower: leave out passes that make the model slower
    beyond noise. texts: the amounts as they were given.

    All amounts may be given as texts with units: `Budget(max_drop="1%", max_latency="5ms", max_size="8MB")`.

    Raises UsageError for amounts that are no such thing, or that nothing can stay within.
    """

    max_drop: Drop | None
    max_latency: float | None
    max_size: int | None
    never_slower: bool
    texts: dict[str, str] = field(compare=False)

    def __init__(
        self,
        *,
        max_drop: str | float | Drop | None = None,
        max_latency: str | float | None = None,
        max_size: str | float | None = None,
        never_slower: bool = False,
    ) -> None:
        amounts = {"max_drop": max_drop, "max_latency": max_latency, "max_size": max_size}
        given = {
            "texts": {name: str(amount).strip() for name, amount in amounts.items() if amount is not None},
            "max_drop": None if max_drop is None else values.drop(max_drop),
            "max_latency": None if max_latency is None else values.seconds(max_latency),
            "max_size": None if max_size is None else values.size(max_size),
            "never_slower": never_slower,
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        if self.max_latency is not None and self.max_latency < FASTEST:
            raise UsageError(f"max-latency: no run takes less than {values.show_seconds(FASTEST)}, found {max_latency}")

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return self.never_slower or any(one is not None for one in (self.max_drop, self.max_latency, self.max_size))
