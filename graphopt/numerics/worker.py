"""Reference runs in a process of their own, which may crash or hang without harm.

A `Worker` starts its process when it is first needed, or earlier by `start`. Requests and results are small messages
on a socket; large arrays lie in files that both processes map. When the process dies or exceeds its time it is
replaced, and what it was doing is a `RunFailure`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, TYPE_CHECKING, Any

from graphopt.numerics import run as reference
from graphopt.numerics.session import RunFailure
from graphopt.numerics.sharing import Shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphopt.numerics.contract import Contract
    from graphopt.numerics.feeds import FeedPlan
    from graphopt.numerics.run import PairResult, Runner
    from graphopt.numerics.session import FailureKind, ModelSource
    from graphopt.numerics.values import Value

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from graphopt.numerics.worker import serve; serve(*map(int, sys.argv[2:]))"
)
"""What the process runs: the modules that this process would import, whatever the current folder holds."""

START_S = 60.0
"""Time that a process has to get ready."""
GRACE_S = 1.0
"""Time beyond its limit that a run has to end by itself, before its process is killed."""
ATTEMPTS = 2
"""A crash counts when it happens in a fresh process too: it may have been the fault of an earlier run."""


def best_runner() -> Runner:
    """A `Worker` where the system can share memory by inheritance (not Windows), else an `InProcess`."""
    return Worker() if os.name == "posix" else reference.InProcess()


class Worker:
    """A `Runner` in a separate process. Thread-safe: one request at a time. A context manager.

    memory: bytes that the process may allocate; None for no limit of its own.
    restarts: how many processes were lost and replaced so far.
    """

    def __init__(self, *, memory: int | None = None, program: str = PROGRAM) -> None:
        self.restarts = 0
        self._memory = memory or 0
        self._program = program
        self._process: _Process | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and return at once; it gets ready while this one does something else."""
        with self._lock, contextlib.suppress(OSError):  # a failure to start shows when the process is needed
            self._ensure()

    def close(self) -> None:
        """End the process; a later request starts a new one."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                process.end()

    def run(
        self,
        model: ModelSource,
        feeds: Mapping[str, Value] | FeedPlan,
        *,
        outputs: Sequence[str] | None = None,
        folder: str = "",
        limit_s: float | None = None,
    ) -> list[Value]:
        """As `graphopt.numerics.run.run`; arrays are copied. Raises RunFailure."""
        options = {"outputs": outputs, "folder": folder, "limit_s": limit_s}
        answer = self._request("run", (_portable(model), feeds), options)
        if isinstance(answer, _Lost):
            raise answer.failure
        return list(answer)

    def check_pair(
        self,
        before: ModelSource,
        after: ModelSource,
        feeds: Sequence[Mapping[str, Value] | FeedPlan],
        contract: Contract,
        *,
        folder: str = "",
        limit_s: float | None = None,
    ) -> PairResult:
        """As `graphopt.numerics.run.check_pair`; only the verdict comes back."""
        arguments = (_portable(before), _portable(after), list(feeds), contract)
        answer = self._request("check_pair", arguments, {"folder": folder, "limit_s": limit_s})
        if isinstance(answer, _Lost):
            return reference.PairResult(failure=answer.failure, side="after" if answer.second else "before")
        return answer

    # ---------------------------------------------------------------------------------------------- requests

    def _request(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        with self._lock:
            for attempt in range(ATTEMPTS):
                answer = self._attempt(method, arguments, options)
                crashed = isinstance(answer, _Lost) and answer.failure.kind == "crash"
                if not crashed or attempt == ATTEMPTS - 1:
                    break
            return answer
