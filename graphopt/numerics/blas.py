"""The threads of numpy's linear algebra."""

from __future__ import annotations

import os
import sys
from importlib import import_module

_VARIABLE, _SHORTEST = "OPENBLAS_THREAD_TIMEOUT", "4"


def load_idle() -> None:
    """Import numpy so that threads of its OpenBLAS sleep as soon as they have nothing to do.

    Without it they spin for tens of milliseconds, from the import on, on cores that another process could use.
    A numpy that is imported already, or whose user has set the variable, stays as it is; the environment does too.
    """
    if "numpy" in sys.modules or _VARIABLE in os.environ:
        return
    os.environ[_VARIABLE] = _SHORTEST  # a power of two of processor cycles; OpenBLAS takes no less
    try:
        import_module("numpy")
    finally:
        del os.environ[_VARIABLE]
