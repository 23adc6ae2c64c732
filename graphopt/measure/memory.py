"""How much memory this process holds, and may hold."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

STATUS, CLEAR, MEMINFO = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")
_FORGET_PEAK = "5"


def held() -> int:
    """Bytes that lie in physical memory now; the most so far on systems that do not tell."""
    return _told(STATUS, "VmRSS") or _most()


def peak() -> int:
    """The most bytes that lay in physical memory since the process began, or since `forget_peak`."""
    return _told(STATUS, "VmHWM") or _most()


def forget_peak() -> None:
    """Begin anew to look for the peak, on systems that allow it."""
    with contextlib.suppress(OSError):
        CLEAR.write_text(_FORGET_PEAK, "utf-8")


def restrict() -> None:
    """Let this process allocate no more than is free now, so that no other one has to die for it."""
    free = _told(MEMINFO, "MemAvailable")
    if free and sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (free if hard < 0 else min(free, hard), hard))


def _told(path: Path, field: str) -> int:
    """A number of bytes that Linux tells in a file; 0 on other systems."""
    with contextlib.suppress(OSError):
        for line in path.read_text("utf-8").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _most() -> int:
    """What POSIX tells: the most so far, in bytes on macOS, else in units of 1024."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
