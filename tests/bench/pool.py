"""Many small cases in child processes with limits; a child that dies is replaced, and its case has failed."""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from multiprocessing.connection import Connection, wait
from typing import Any

Case = Callable[[int], str]
"""Does what a number stands for, and says what came of it."""

_FORK = multiprocessing.get_context("fork")
_WALL = 20
"""A case may take this many times its processor time before it counts as waiting for something that never comes."""


@dataclass(frozen=True)
class Limits:
    """What one case may take: seconds of processor time, bytes of memory of its process."""

    seconds: float = 60.0
    memory: int = 2 << 30


class _Child:
    def __init__(self, case: Case, limits: Limits) -> None:
        self.connection, theirs = _FORK.Pipe()
        self.process = _FORK.Process(target=_serve, args=(theirs, case, limits), daemon=True)
        self.process.start()
        theirs.close()
        self.number: int | None = None
        self.deadline = float("inf")

    def begin(self, number: int, limits: Limits) -> None:
        self.number, self.deadline = number, time.monotonic() + _WALL * limits.seconds
        self.connection.send(number)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection, case: Case, limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    os.nice(10)
    metadata.version = functools.cache(metadata.version)  # to look it up takes longer than many a case
    while True:
        number = connection.recv()
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + limits.seconds) + 1, resource.RLIM_INFINITY))
        connection.send(case(number))


def results(
    case: Case, numbers: Iterable[int], limits: Limits, *, jobs: int = 1, until: float = float("inf")
) -> Iterator[tuple[int, str]]:
    """Each number and what came of it, as it comes; no new ones after the time `until` (of time.monotonic)."""
    waiting = iter(numbers)
    children = [_Child(case, limits) for _ in range(jobs)]
    try:
        busy = [child for child in children if _next(child, waiting, limits, until)]
        while busy:
            ready: list[Any] = wait([child.connection for child in busy], timeout=1)
            for child in list(busy):
                if child.connection in ready or time.monotonic() > child.deadline:
                    number = child.number
                    busy.remove(child)
                    told, successor = _told(child, case, limits)
                    if successor is not child:
                        children[children.index(child)] = successor
                    if _next(successor, waiting, limits, until):
                        busy.append(successor)
                    yield number or 0, told
    finally:
        for child in children:
            child.end()


def _next(child: _Child, waiting: Iterator[int], limits: Limits, until: float) -> bool:
    number = next(waiting, None) if time.monotonic() < until else None
    if number is not None:
        child.begin(number, limits)
    return number is not None


def _told(child: _Child, case: Case, limits: Limits) -> tuple[str, _Child]:
    """What a child says, or why it cannot say anything, and the child for the next case."""
    if not child.connection.poll():
        child.end()
        return "hang: it waits", _Child(case, limits)
    try:
        return child.connection.recv(), child
    except (EOFError, ConnectionError):
        child.process.join()
        code = child.process.exitcode or 0
        child.end()
        slow = -code in (signal.SIGXCPU, signal.SIGKILL)
        return f"{'hang' if slow else 'crash'}: exit code {code}", _Child(case, limits)
