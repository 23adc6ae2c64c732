"""Why a model could not be run."""

from __future__ import annotations

from typing import Literal

from graphopt.errors import GraphoptError

FailureKind = Literal["invalid", "unsupported", "failed", "memory", "timeout", "crash"]


class RunFailure(GraphoptError):
    """A model could not be run.

    kind: "invalid" (the runtime refuses the model), "unsupported" (it has no kernel or no Python type for
        it), "failed" (an error while running, or feeds that do not fit), "memory", "timeout", "crash".
    reason: what the runtime said.
    """

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"
