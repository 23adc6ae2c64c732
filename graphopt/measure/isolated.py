"""A function in a process of its own: fresh memory, nothing loaded before, and no harm if it crashes or hangs."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from graphopt.errors import GraphoptError, ModelError
from graphopt.numerics.worker import leave_with

P = ParamSpec("P")
R = TypeVar("R")

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from graphopt.measure.isolated import serve; serve(int(sys.argv[2]))"
)
"""What the process runs: the modules that this process would import, whatever the current folder holds."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Threads of other libraries would disturb what is measured."""
LIMIT_S = 1800.0


def isolated(what: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of a function of a module, called in a new process. Arguments and result are pickled.

    what: is done, for errors. Raises what the function raises if it is a GraphoptError, and ModelError if the process
    dies or hangs.
    """
    command = [sys.executable, "-P", "-c", PROGRAM, json.dumps(sys.path), str(os.getpid())]
    request = pickle.dumps((function, args, kwargs))
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, our own program
            command, input=request, capture_output=True, timeout=LIMIT_S, env=os.environ | ENVIRONMENT, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{what} did not come to an end within {LIMIT_S:g} seconds") from None
    if done.returncode or not done.stdout:
        raise ModelError(f"{what} failed: {_last_words(done.returncode, done.stderr)}")
    outcome = pickle.loads(done.stdout)  # noqa: S301 - our own process wrote it
    if isinstance(outcome, GraphoptError):
        raise outcome
    return cast("R", outcome)


def _last_words(code: int, errors: bytes) -> str:
    """How a process ended, and the last line that it wrote about it."""
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    return f"the runtime's process died ({how})" + (f": {lines[-1]}" if lines else "")


def serve(parent: int) -> None:
    """Call the function that comes on the standard input; the result goes to the standard output, and nothing else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other process, which then ends this one
    threading.Thread(target=leave_with, args=(parent,), daemon=True).start()
    result = os.dup(1)
    os.dup2(2, 1)  # what libraries print is no result
    function, args, kwargs = pickle.load(sys.stdin.buffer)  # noqa: S301 - the process that started this one wrote it
    try:
        outcome = function(*args, **kwargs)
    except GraphoptError as error:
        outcome = error
    with os.fdopen(result, "wb") as out:
        pickle.dump(outcome, out)
