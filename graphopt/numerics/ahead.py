"""Pairs of models that are compared while whoever asked goes on."""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from graphopt.numerics.run import Pair, PairResult

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

BATCH = 16
"""Pairs that go to the runner in one message, where so many wait."""

TICKET = 1
"""Under which the runner keeps what the one model gives that is compared in the end."""


class Ahead:
    """Hands pairs to a runner, in the order of asking, from a thread of its own.

    What waits goes in one message: for each, this thread would wait for its turn beside the one that asks.
    """

    def __init__(self, runner: Worker) -> None:
        self._runner = runner
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graphopt-ahead")
        self._waiting: deque[tuple[Future[PairResult], int]] = deque()
        self._unsent: deque[tuple[Pair, Future[PairResult]]] = deque()
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
        pair = Pair(before, after, list(feeds), contract, dict(given or {}), limit_s)
        future: Future[PairResult] = Future()
        self._unsent.append((pair, future))
        self._thread.submit(self._send)
        self._waiting.append((future, len(before) + len(after) + sum(array.nbytes for array in pair.given.values())))
        return future

    def _send(self) -> None:
        """Have the pairs compared that wait by now; the turns of all but the first then find nothing to do."""
        unsent = [self._unsent.popleft() for _ in range(min(BATCH, len(self._unsent)))]
        batch = [(pair, future) for pair, future in unsent if future.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            results = self._runner.check_pairs([pair for pair, _ in batch])
        except BaseException as error:  # noqa: BLE001 - it is raised where the results are asked for
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

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
        for _, future in [*self._unsent]:
            future.cancel()
        self._runner.close()
        self._thread.shutdown()
