"""The machine, as files of Linux tell of it, and where they do not exist."""

from __future__ import annotations

import pytest

from graphopt.measure import environment as module
from graphopt.measure.environment import cores, environment, features, memory

CPU = """processor\t: {0}
model name\t: A Processor
physical id\t: 0
core id\t\t: {1}
flags\t\t: fpu avx2 avx512f avx512_vnni amx_int8
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of two cores with two threads each, of which this process may use those that are told."""

    def make(usable):
        (tmp_path / "cpuinfo").write_text("\n".join(CPU.format(i, i // 2) for i in range(4)))
        (tmp_path / "meminfo").write_text("MemTotal:       1000 kB\nMemFree: 1 kB\n")
        monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
        monkeypatch.setattr(module, "MEMINFO", tmp_path / "meminfo")
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(usable), raising=False)

    return make


@pytest.mark.parametrize(("usable", "expected"), [(range(4), 2), ([0, 1], 1), ([0, 2], 2)])
def test_cores_are_physical_and_usable(machine, usable, expected):
    machine(usable)
    assert cores() == expected


def test_what_linux_tells(machine):
    machine(range(4))
    found = environment()
    assert (found.processor, found.cores, found.processors, found.memory) == ("A Processor", 2, 4, 1024_000)
    assert found.features == ("avx2", "avx512", "vnni", "amx_int8")
    assert found.versions["onnxruntime"][0].isdecimal()


def test_where_linux_tells_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "none")
    monkeypatch.setattr(module, "MEMINFO", tmp_path / "none")
    assert memory() == 0
    assert cores() >= 1
    assert environment().features == ()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx_vnni avx2", ("avx2", "vnni")), ("fp asimd asimddp i8mm", ("neon", "dotprod", "i8mm")), ("", ())],
)
def test_features_by_their_flags(flags, expected):
    assert features(flags) == expected
