"""Packages that only some commands need: each is part of an extra of this package's installation."""

from __future__ import annotations

from importlib.util import find_spec

from graphopt.errors import UsageError


def need(extra: str, what: str, *modules: str) -> None:
    """Make sure that modules can be imported, before any work; imports none of them.

    extra: the name of the extra that installs them. what: what needs them, as the beginning of a sentence.
    Raises UsageError, with what to type, if one is missing.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise UsageError(f"{what} needs {' and '.join(missing)}: pip install 'graphopt[{extra}]'")
