from __future__ import annotations

import threading
import time

from graphopt.numerics.alarm import Alarms


def test_alarms_ring_in_the_order_of_their_deadlines():
    alarms, rung, done = Alarms(), [], threading.Event()
    alarms.set(0.3, lambda: (rung.append("late"), done.set()))
    alarms.set(0.1, lambda: rung.append("early"))
    alarms.set(0.2, lambda: rung.append("middle"))
    assert done.wait(5)
    assert rung == ["early", "middle", "late"]


def test_an_alarm_does_not_ring_before_its_time():
    begin, done = time.monotonic(), threading.Event()
    Alarms().set(0.2, done.set)
    assert done.wait(5)
    assert time.monotonic() - begin >= 0.2


def test_a_cancelled_alarm_never_rings():
    alarms, rung, done = Alarms(), [], threading.Event()
    first = alarms.set(0.1, lambda: rung.append("first"))
    alarms.set(0.2, done.set)
    first.cancel()
    assert first.cancelled
    assert done.wait(5)
    assert not rung


def test_one_thread_serves_all_alarms():
    alarms = Alarms()
    before = threading.active_count()
    held = [alarms.set(100, lambda: None) for _ in range(50)]
    assert threading.active_count() == before + 1
    for alarm in held:
        alarm.cancel()
