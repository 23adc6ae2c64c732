"""The process in which a `Worker` has models run: how it is started, asked and ended.

Starting it needs no numpy, so that a program can have it get ready while it imports everything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, NamedTuple

from graphopt.numerics.blas import load_idle
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.sharing import Shared, anonymous_file

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from graphopt.numerics.worker import serve; serve(*map(int, sys.argv[2:]))"
)
"""What the process runs: the modules that this process would import, whatever the current folder holds."""

READY, SECOND, NEXT = "ready", "second", "next"
"""What the process says besides answers: it can be used; it has come to the second model of a pair, or to the next of
several pairs."""

PATIENCE = 10
"""The second model of a pair may take this many times as long as the first, whatever the limit is."""

ENVIRONMENT = {
    "ALLOW_RELEASED_ONNX_OPSET_ONLY": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Opsets newer than the runtime are tried; nothing but the main thread computes; what runs is nobody else's affair."""

START_S = 60.0
"""Time that a process has to get ready."""
GRACE_S = 1.0
"""Time beyond its limit that a run has to end by itself, before its process is killed."""
_TAIL = 4096


class Lost(NamedTuple):
    """The process is gone. second: it was busy with the second model of a pair."""

    failure: RunFailure
    second: bool = False


class Process:
    """One process, and this end of what connects it. memory: bytes that it may allocate; 0 for any number."""

    def __init__(self, program: str = PROGRAM, memory: int = 0) -> None:
        self._ready = False
        with contextlib.ExitStack() as opened:
            self._requests, self._results, self._errors = Shared(), Shared(), anonymous_file()
            for descriptor in (self._requests.descriptor, self._results.descriptor, self._errors):
                opened.callback(os.close, descriptor)
            ours, theirs = Pipe()
            self._connection = opened.enter_context(ours)
            inherited = (theirs.fileno(), self._requests.descriptor, self._results.descriptor)
            numbers = (*inherited, memory, os.getpid())
            with theirs:
                self._popen = subprocess.Popen(  # noqa: S603 - this interpreter, our own program
                    [sys.executable, "-P", "-c", program, json.dumps(sys.path), *map(str, numbers)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    pass_fds=inherited,
                    env=os.environ | ENVIRONMENT,
                )
            opened.callback(self._popen.wait)
            opened.callback(self._popen.kill)
            self.end = weakref.finalize(self, opened.pop_all().close)

    @property
    def alive(self) -> bool:
        """Whether the process has not ended by itself."""
        return self._popen.poll() is None

    def limit_memory(self, memory: int) -> None:
        """Change what the process may allocate, where the system can; a process that is gone needs no limit."""
        import resource

        if hasattr(resource, "prlimit"):
            with contextlib.suppress(ProcessLookupError):
                _, most = resource.prlimit(self._popen.pid, resource.RLIMIT_DATA)
                resource.prlimit(self._popen.pid, resource.RLIMIT_DATA, (memory, most))

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer hears that it is lost."""
        self._popen.kill()

    def ask(self, message: tuple[Any, ...], limit: float | None) -> Any:
        """The answer to a request, a RunFailure that the process reports, or `Lost`."""
        second, limit_s = False, limit
        try:
            if not self._ready and not self._connection.poll(START_S):
                return Lost(RunFailure("timeout", f"The process was not ready after {START_S:g} seconds."))
            if not self._ready:
                self._ready = self._connection.recv() == READY
            begin = time.monotonic()
            self._connection.send(self._requests.put(message))
            while self._connection.poll(None if limit_s is None else limit_s + GRACE_S):
                answer = self._connection.recv()
                if answer == SECOND:
                    second, limit_s = True, limit_after(limit, time.monotonic() - begin)
                elif answer != NEXT:
                    return self._results.take(answer, copy=True)
        except (EOFError, ConnectionError):
            return Lost(RunFailure("crash", self._last_words()), second)
        except OSError as error:
            return Lost(RunFailure("memory", f"The inputs cannot be handed over: {error}"), second)
        finally:
            self._requests.clear()
        return Lost(RunFailure("timeout", f"No result after {limit_s:g} seconds."), second)

    def _ended(self) -> int:
        """The exit code of a process that says nothing any more, which may take its time to end."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._popen.wait(START_S)
        self.kill()
        return self._popen.wait()

    def _last_words(self) -> str:
        """How the process ended, and the last line that it wrote about it."""
        code = self._ended()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        size = os.fstat(self._errors).st_size
        lines = os.pread(self._errors, _TAIL, max(0, size - _TAIL)).decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"The runtime's process died ({how}){': ' if last else '.'}{last}"


@contextlib.contextmanager
def started() -> Iterator[Process | None]:
    """A process that gets ready while this one imports what it needs, numpy first, ended with the block; None where
    there can be none."""
    try:
        process = Process() if os.name == "posix" else None
    except OSError:
        process = None  # shows when the process is needed
    try:
        load_idle()
        yield process
    finally:
        if process is not None:
            process.end()


def limit_after(limit_s: float | None, spent: float) -> float | None:
    """The limit for the second model of a pair, of which the first took `spent` seconds.

    A model that is no slower must not be called hanging because the machine has become busy.
    """
    return None if limit_s is None else max(limit_s, PATIENCE * spent)
