"""Pairs of models that are compared while whoever asked goes on."""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from graphopt.numerics.run import PairResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphopt.ir.types import Array
    from graphopt.numerics.contract import Contract
    from graphopt.numerics.failure import RunFailure
    from graphopt.numerics.feeds import FeedPlan
    from graphopt.numerics.values import Value
    from graphopt.numerics.worker import Worker

CAPACITY = 64 << 20
"""Bytes of models and their weights that may wait; whoever has more waits for the oldest."""

TICKET = 1
"""Under which the runner keeps what the one model gives that is compared in the end."""


class Ahead:
    """Hands pairs to a runner, one after another, from a thread of its own."""

    def __init__(self, runner: Worker) -> None:
        self._runner = runner
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graphopt-ahead")
        self._waiting: deque[tuple[Future[PairResult], int]] = deque()
        self._expected: Future[RunFailure | None] | None = None

    def limit_memory(self, memory: int) -> None:
        """As `Worker.limit_memory`."""
        self._runner.limit_memory(memory)

    def check_pair(
        self,
        before: bytes,
        after: bytes,
        feeds: Sequence[FeedPlan],
        contract: Contract,
        *,
        given: Mapping[str, Array] | None = None,
        limit_s: float,
    ) -> Future[PairResult]:
        """As `Runner.check_pair`; the result comes later."""
        while sum(size for _, size in self._waiting) > CAPACITY or (self._waiting and self._waiting[0][0].done()):
            self._waiting.popleft()[0].result()
        future = self._thread.submit(
            self._runner.check_pair, before, after, feeds, contract, given=given, limit_s=limit_s
        )
        self._waiting.append((future, len(before) + len(after) + sum(array.nbytes for array in (given or {}).values())))
        return future

    def expect(self, model: str | bytes, feeds: Sequence[FeedPlan | Mapping[str, Value]], *, limit_s: float) -> None:
        """Run a model on feeds, so that a later `against` finds what it gives."""
        self._expected = self._thread.submit(self._runner.expect, model, feeds, limit_s=limit_s, ticket=TICKET)

    def failure(self, patience_s: float) -> RunFailure | None:
        """Why the model of `expect` cannot be run; None if it can, was none, or takes too long to say."""
        with contextlib.suppress(TimeoutError):
            return None if self._expected is None else self._expected.result(patience_s)
        return None

    def against(
        self,
        model: str | bytes,
        after: str | bytes,
        feeds: Sequence[FeedPlan | Mapping[str, Value]],
        contract: Contract,
        *,
        limit_s: float,
    ) -> PairResult:
        """As `Runner.check_pair`, with the model and the feeds of `expect`. What took too long is not tried again."""
        failure = None if self._expected is None else self._expected.result()
        if failure is not None and failure.kind == "timeout":
            return PairResult(failure=failure, side="before")
        return self._runner.check_pair(model, after, feeds, contract, limit_s=limit_s, ticket=TICKET)

    def close(self) -> None:
        """Forget what waits, and close the runner, which ends what is running."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._runner.close()
        self._thread.shutdown()
