"""How much memory this process holds."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"


def held() -> int:
    """Bytes that lie in physical memory now; the most so far on systems that do not tell."""
    return _status("VmRSS") or _most()


def peak() -> int:
    """The most bytes that lay in physical memory since the process began, or since `forget_peak`."""
    return _status("VmHWM") or _most()


def forget_peak() -> None:
    """Begin anew to look for the peak, on systems that allow it."""
    with contextlib.suppress(OSError):
        CLEAR.write_text(_FORGET_PEAK, "utf-8")


def _status(field: str) -> int:
    """A number of bytes that Linux tells; 0 on other systems."""
    with contextlib.suppress(OSError):
        for line in STATUS.read_text("utf-8").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _most() -> int:
    """What POSIX tells: the most so far, in bytes on macOS, else in units of 1024."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
