"""How much memory a process holds, and may hold."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.measure import memory

MB = 1 << 20

pytestmark = pytest.mark.skipif(not memory.STATUS.exists(), reason="only Linux tells it")


def test_what_is_held_counts():
    before = memory.held()
    kept = np.ones(64 * MB, np.uint8)
    assert memory.held() - before > 60 * MB
    assert memory.peak() >= memory.held()
    del kept


def test_the_peak_is_that_since_it_was_forgotten():
    memory.forget_peak()
    before = memory.peak()
    del_me = np.ones(64 * MB, np.uint8)
    del del_me
    assert memory.peak() - before > 60 * MB
    memory.forget_peak()
    assert memory.peak() < before + 32 * MB


def test_no_more_can_be_allocated_than_is_free(monkeypatch, tmp_path):
    import resource

    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: limits.append((kind, pair)))
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   10 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    memory.restrict()
    assert limits[0][0] == resource.RLIMIT_DATA
    assert limits[0][1][0] == 10 * 1024


def test_where_the_system_tells_nothing_there_is_no_limit(monkeypatch, tmp_path):
    import resource

    monkeypatch.setattr(resource, "setrlimit", None)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    memory.restrict()


def test_other_systems_tell_the_most_so_far(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    assert memory.peak() == memory.held() > 10 * MB
