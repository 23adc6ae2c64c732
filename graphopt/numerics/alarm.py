"""Deadlines for runs that take a fraction of a millisecond: one thread watches all of them."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarms:
    """Calls functions when their time has come. The thread starts with the first alarm and never keeps Python alive."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: list[tuple[float, int, Alarm]] = []
        self._numbers = itertools.count()
        self._wakes = math.inf
        self._thread: threading.Thread | None = None

    def set(self, seconds: float, call: Callable[[], None]) -> Alarm:
        """Call `call`, from another thread, in `seconds` from now, unless the alarm is cancelled before."""
        due, alarm = time.monotonic() + seconds, Alarm(call)
        with self._changed:
            heapq.heappush(self._pending, (due, next(self._numbers), alarm))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="graphopt alarms", daemon=True)
                self._thread.start()
            elif due < self._wakes:
                self._changed.notify()
        return alarm

    def _watch(self) -> None:
        while True:
            for alarm in self._due():
                alarm.ring()

    def _due(self) -> list[Alarm]:
        """Wait for the next deadline, or for an earlier one, and take what is due."""
        with self._changed:
            while self._pending and self._pending[0][2].cancelled:
                heapq.heappop(self._pending)
            self._wakes = self._pending[0][0] if self._pending else math.inf
            delay = None if self._wakes == math.inf else max(0.0, self._wakes - time.monotonic())
            self._changed.wait(delay)
            due = []
            while self._pending and self._pending[0][0] <= time.monotonic():
                due.append(heapq.heappop(self._pending)[2])
            return due


class Alarm:
    """A function that is called once, or cancelled. After `cancel` returns it is not called any more."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call
        self._lock = threading.Lock()

    @property
    def cancelled(self) -> bool:
        """Whether there is nothing left to call."""
        return self._call is None

    def cancel(self) -> None:
        """Do not call the function any more."""
        with self._lock:
            self._call = None

    def ring(self) -> None:
        """Call the function, unless it was cancelled."""
        with self._lock:
            call, self._call = self._call, None
            if call is not None:
                call()


ALARMS = Alarms()
