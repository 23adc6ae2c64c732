"""Where something was measured: processor, memory, system, versions, load."""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("graphopt", "onnx", "onnxruntime", "onnx-graphsurgeon", "numpy")
FEATURES = {
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "amx_int8": ("amx_int8",),
    "amx_bf16": ("amx_bf16",),
    "avx512_bf16": ("avx512_bf16",),
    "avx512_fp16": ("avx512_fp16",),
    "neon": ("asimd",),
    "dotprod": ("asimddp",),
    "i8mm": ("i8mm",),
    "sve": ("sve",),
    "bf16": ("bf16",),
}
"""What decides which kernels ONNX Runtime takes, and the flags by which Linux tells of it."""
CPUINFO, MEMINFO = Path("/proc/cpuinfo"), Path("/proc/meminfo")


@dataclass(frozen=True)
class Environment:
    """A machine and what runs on it.

    cores: physical ones that this process may use; processors: logical ones. memory: bytes, 0 if the system does not
    tell. load: runnable processes, averaged over the last minute, before measuring. versions: of packages.
    """

    processor: str
    architecture: str
    features: tuple[str, ...]
    cores: int
    processors: int
    memory: int
    system: str
    load: float
    versions: dict[str, str]


def environment() -> Environment:
    """This machine, now. What the system does not tell is empty or 0."""
    first = next(iter(_processors()), {})
    return Environment(
        processor=first.get("model name", "") or platform.processor() or platform.machine(),
        architecture=platform.machine(),
        features=features(first.get("flags") or first.get("Features") or ""),
        cores=cores(),
        processors=len(_usable()),
        memory=memory(),
        system=platform.platform(terse=True),
        load=round(_load(), 2),
        versions=versions(),
    )


def processor() -> tuple[str, ...]:
    """The architecture of this machine, and what its processor can of what decides about kernels."""
    first = next(iter(_processors()), {})
    return platform.machine(), *features(first.get("flags") or first.get("Features") or "")


def cores() -> int:
    """Physical cores that this process may use; logical ones where the system does not tell them apart."""
    usable = _usable()
    table = {number: one for one in _processors() if (number := one.get("processor", "")).isdecimal()}
    places = {
        (one.get("physical id"), one.get("core id", number)) for number, one in table.items() if int(number) in usable
    }
    return len(places) or len(usable)


def features(flags: str) -> tuple[str, ...]:
    """Those of `FEATURES` that a line of flags names."""
    found = set(flags.split())
    return tuple(name for name, spellings in FEATURES.items() if found & set(spellings))


def _processors() -> list[dict[str, str]]:
    """The entries of /proc/cpuinfo; none on other systems than Linux."""
    with contextlib.suppress(OSError):
        blocks = CPUINFO.read_text("utf-8", "replace").split("\n\n")
        return [dict(_fields(block)) for block in blocks if block.strip()]
    return []


def _fields(block: str) -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in block.splitlines())
    return [(key.strip(), value.strip()) for key, _, value in lines]


def _usable() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def memory() -> int:
    """Bytes of physical memory; 0 if the system does not tell."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        return int(dict(_fields(MEMINFO.read_text("utf-8")))["MemTotal"].split()[0]) * 1024
    return 0


def _load() -> float:
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return 0.0


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide about numbers and speed."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        found[name] = "not installed"
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
