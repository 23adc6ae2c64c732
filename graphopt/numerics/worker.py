"""Reference runs in a process of their own, which may crash or hang without harm.

A `Worker` starts its process when it is first needed, or earlier by `start`. Requests and results are small messages
on a socket; large arrays lie in files that both processes map. When the process dies or exceeds its time it is
replaced, and what it was doing is a `RunFailure`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from graphopt.numerics.contract import Exact
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.feeds import FeedPlan, InputSpec
from graphopt.numerics.process import NEXT, PROGRAM, READY, SECOND, START_S, Lost, Process
from graphopt.numerics.run import Expected, InProcess, PairResult, check_pair, expected, run
from graphopt.numerics.sharing import Shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graphopt.numerics.contract import Contract
    from graphopt.numerics.run import Pair, Runner
    from graphopt.numerics.session import ModelSource
    from graphopt.numerics.values import Value


Request = tuple[tuple[Any, ...], dict[str, Any]]
"""The arguments of a call, by position and by name."""

WARM_UP = (
    b'\x08\x08:9\n\x12\n\x01x\x12\x01y"\x08Identity:\x00\x12\x01g'
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""A model of a single Identity of opset 13, `float[1] x` to `y`."""


def best_runner(first: Process | None = None) -> Runner:
    """A `Worker` where the system can share memory by inheritance (not Windows), else an `InProcess`."""
    return Worker(first=first) if os.name == "posix" else InProcess()


class Worker:
    """A `Runner` in a separate process. Thread-safe: one request at a time. A context manager.

    memory: bytes that the process may allocate; None for no limit of its own.
    first: a process that was started before, to begin with.
    restarts: how many processes were lost so far. A request on which one crashed is tried once more on a fresh
        one, as the fault may have been an earlier one's.
    """

    def __init__(self, *, memory: int | None = None, program: str = PROGRAM, first: Process | None = None) -> None:
        self.restarts = 0
        self._memory = memory or 0
        self._program = program
        self._process = first
        self._closing = False
        self._lock, self._turn = threading.RLock(), threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process and return at once; it gets ready while this one does something else."""
        with self._lock, contextlib.suppress(OSError):  # a failure to start shows when the process is needed
            self._ensure()

    def limit_memory(self, memory: int) -> None:
        """From now on the process may allocate so many bytes; a run that needs more is a RunFailure."""
        with self._lock:
            self._memory = memory
            if self._process is not None:
                self._process.limit_memory(memory)

    def close(self) -> None:
        """End the process, and with it a request of another thread; a later request starts a new one."""
        self._closing = True
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._drop()
            self._closing = False

    def _drop(self) -> None:
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
        if isinstance(answer, Lost):
            raise answer.failure
        return list(answer)

    def check_pair(
        self,
        before: ModelSource,
        after: ModelSource,
        feeds: Sequence[Mapping[str, Value] | FeedPlan],
        contract: Contract,
        *,
        given: Mapping[str, Value] | None = None,
        folder: str = "",
        limit_s: float | None = None,
        ticket: int = 0,
    ) -> PairResult:
        """As `graphopt.numerics.run.check_pair`; only the verdict comes back.

        ticket: of an earlier `expect` with the same model and feeds, whose results are used if they are still there.
        """
        arguments = (_portable(before), _portable(after), list(feeds), contract)
        options = {"given": dict(given or {}), "folder": folder, "limit_s": limit_s, "ticket": ticket}
        return _result(self._request("check_pair", arguments, options))

    def check_pairs(self, pairs: Sequence[Pair]) -> list[PairResult]:
        """As `check_pair` of each, in one message. If the process is lost over them, each gets a message of its own."""
        requests: list[Request] = [
            (
                (_portable(pair.before), _portable(pair.after), pair.feeds, pair.contract),
                {"given": pair.given, "limit_s": pair.limit_s},
            )
            for pair in pairs
        ]
        with self._turns():
            answer = self._attempt("check_pairs", (requests,), {"limit_s": max(pair.limit_s for pair in pairs)})
            if not isinstance(answer, Lost):
                return list(answer)
            return [_result(answer if self._closing else self._retried("check_pair", *one)) for one in requests]

    def expect(
        self, model: ModelSource, feeds: Sequence[Mapping[str, Value] | FeedPlan], *, limit_s: float, ticket: int
    ) -> RunFailure | None:
        """Run `model` on every feed and let the process keep what it gives, for a later `check_pair`.

        ticket: any number but 0, under which it is kept; one at a time. Returns why it cannot be run, which shows
        there as well.
        """
        try:
            answer = self._request("expect", (_portable(model), list(feeds)), {"limit_s": limit_s, "ticket": ticket})
        except RunFailure as failure:
            return failure
        return answer.failure if isinstance(answer, Lost) else None

    # ---------------------------------------------------------------------------------------------- requests

    def _request(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The answer, or `Lost`. Raises RunFailure if the process says so."""
        with self._turns():
            return self._retried(method, arguments, options)

    @contextlib.contextmanager
    def _turns(self) -> Iterator[None]:
        """Alone, in the order of asking: a thread that asks again and again would lock the others out."""
        with self._turn:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _retried(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        answer = self._attempt(method, arguments, options)
        if isinstance(answer, Lost) and answer.failure.kind == "crash" and not self._closing:
            answer = self._attempt(method, arguments, options)
        return answer

    def _attempt(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            process = self._ensure()
        except OSError as error:
            return Lost(RunFailure("crash", f"The process for reference runs cannot be started: {error}"))
        try:
            answer = process.ask((method, arguments, options), options["limit_s"])
        except BaseException:
            self._drop()  # an interrupted request would be answered to the next one
            raise
        if isinstance(answer, Lost):
            self.restarts += 1
            self._drop()
        elif isinstance(answer, RunFailure):
            raise answer
        return answer

    def _ensure(self) -> Process:
        if self._process is not None and not self._process.alive:
            self._drop()
        if self._process is None:
            self._process = Process(self._program, self._memory)
        return self._process


def _result(answer: Any) -> PairResult:
    """What came of a pair, also where the process was lost over it."""
    if isinstance(answer, Lost):
        return PairResult(failure=answer.failure, side="after" if answer.second else "before")
    return cast("PairResult", answer)


def _portable(model: ModelSource) -> bytes | str:
    """Bytes, or an absolute path."""
    return model if isinstance(model, bytes) else str(Path(model).absolute())


# ------------------------------------------------------------------------------------ inside the process


def serve(channel: int, requests: int, results: int, memory: int, parent: int) -> None:
    """Answer requests until the other end is closed. The numbers are descriptors, a limit in bytes, and a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other process, which then closes its end
    _limit_resources(memory)
    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    connection, inbound, outbound = Connection(channel), Shared(requests), Shared(results)
    connection.send(READY)
    _warm_up()
    kept: dict[int, Expected] = {}
    with contextlib.suppress(EOFError):
        while True:
            request = inbound.take(connection.recv())
            outbound.clear()
            connection.send(outbound.put(_answer(connection, kept, *request)))


def _warm_up() -> None:
    """Have numpy and the runtime load what they load at the first draw and run, while nothing is asked yet."""
    x = InputSpec("x", np.dtype(np.float32), (1,))
    check_pair(WARM_UP, WARM_UP, [FeedPlan((x,), 0, "edge")], Exact(), limit_s=START_S)


def _answer(
    connection: Connection, kept: dict[int, Expected], method: str, arguments: tuple[Any, ...], options: dict[str, Any]
) -> Any:
    try:
        if method == "run":
            return run(*arguments, **options)
        if method == "check_pairs":
            return list(_compared(connection, *arguments))
        ticket = options.pop("ticket", 0)
        if method == "expect":
            kept.clear()
            kept[ticket] = expected(*arguments, **options)
            return None
        before, *others = arguments
        return check_pair(kept.pop(ticket, before), *others, **options, on_after=lambda: connection.send(SECOND))
    except RunFailure as failure:
        return failure


def _compared(connection: Connection, pairs: Sequence[Request]) -> Iterator[PairResult]:
    """The results of many pairs; after each, the other process hears that there is progress."""
    for arguments, options in pairs:
        yield check_pair(*arguments, **options)
        connection.send(NEXT)


def _limit_resources(memory: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def leave_with(parent: int) -> None:
    """End this process when the one that started it is gone, also in the middle of a run."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
