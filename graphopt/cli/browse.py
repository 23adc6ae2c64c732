"""Graphs in the browser, by Netron."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from graphopt.errors import UsageError
from graphopt.extras import need

HOST = "localhost"
_SAFE = re.compile(r"[\w. ()+=@-]+")
"""Names that Netron can put into its page as they are."""


def check() -> None:
    """Raises UsageError, with what to install, where Netron is missing."""
    need("view", "graphopt view", "netron")


def show_file(path: Path, port: int, *, browser: bool) -> None:
    """Show a model's file until the user interrupts."""
    if _SAFE.fullmatch(path.name):
        _serve(str(path), None, port, browser=browser)
    else:
        show_bytes(
            path.read_bytes(), f"model{path.suffix if _SAFE.fullmatch(path.suffix) else '.onnx'}", port, browser=browser
        )


def show_bytes(content: bytes, name: str, port: int, *, browser: bool) -> None:
    """Show a model until the user interrupts. name: what to call it, of plain letters."""
    _serve(name, bytearray(content), port, browser=browser)


def _serve(name: str, content: bytearray | None, port: int, *, browser: bool) -> None:
    import netron

    from graphopt.cli.terminal import emit

    logging.getLogger().addHandler(logging.NullHandler())  # else Netron sets up logging of its own
    try:
        host, found = netron.serve(name, content, (HOST, port or None), browse=browser)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}; choose another one with --port") from error
    emit(f"http://{host}:{found} shows it until you press Ctrl-C")
    netron.wait()
