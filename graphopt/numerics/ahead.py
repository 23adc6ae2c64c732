"""Pairs of models that are compared while whoever asked goes on."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphopt.numerics.contract import Contract
    from graphopt.numerics.feeds import FeedPlan
    from graphopt.numerics.run import PairResult, Runner

CAPACITY = 64 << 20
"""Bytes of models that may wait; whoever has more waits for the oldest."""


class Ahead:
    """Hands pairs to a runner, one after another, from a thread of its own."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graphopt-ahead")
        self._waiting: deque[tuple[Future[PairResult], int]] = deque()

    def check_pair(
        self, before: bytes, after: bytes, feeds: Sequence[FeedPlan], contract: Contract, *, limit_s: float
    ) -> Future[PairResult]:
        """As `Runner.check_pair`; the result comes later."""
        while sum(size for _, size in self._waiting) > CAPACITY or (self._waiting and self._waiting[0][0].done()):
            self._waiting.popleft()[0].result()
        future = self._thread.submit(self._runner.check_pair, before, after, feeds, contract, limit_s=limit_s)
        self._waiting.append((future, len(before) + len(after)))
        return future

    def close(self) -> None:
        """Forget what waits, and close the runner, which ends what is running."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._runner.close()
        self._thread.shutdown()
