"""Shell completion of what only the registry knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.pipeline.passes import Pass

_STEP = re.compile(r"[^,():]*(?::[^,()]*)?$")
"""The last step of a text, as far as it is written."""


def _passes() -> dict[str, Pass]:
    from graphopt.pipeline.registry import Registry

    return Registry().passes


def rules(incomplete: str) -> list[str]:
    """Names of rules that begin with `incomplete`."""
    return _beginning(incomplete, (rule.name for one in _passes().values() for rule in one.rules))


def topics(incomplete: str) -> list[str]:
    """Names of passes and of rules that begin with `incomplete`."""
    return _beginning(incomplete, [*_passes(), *rules("")])


def pipelines(incomplete: str) -> list[str]:
    """Pipeline texts that continue `incomplete`: its last pass, option or rule completed."""
    step = "".join(_STEP.findall(incomplete)).lstrip()
    done = incomplete.removesuffix(step)
    known = _passes()
    head, colon, last = step.rpartition(":")
    if not colon:
        return _beginning(incomplete, (done + one for one in (*known, "fix(")))
    found = known.get(head.split(":", maxsplit=1)[0])
    options = _option_texts(found, last) if found else ()
    return _beginning(incomplete, (f"{done}{head}:{one}" for one in options))


def _option_texts(found: Pass, text: str) -> Iterator[str]:
    """Ways to continue the option `text` of a pass: its name, or the last of its names of rules."""
    option, equals, value = text.partition("=")
    if not equals:
        yield from (f"{one.name}=" for one in found.options)
    elif option in ("only", "skip"):
        before = value.rpartition("+")[0]
        yield from (f"{option}={before + '+' if before else ''}{rule.name}" for rule in found.rules)


def _beginning(incomplete: str, candidates: Iterable[str]) -> list[str]:
    return sorted({one for one in candidates if one.startswith(incomplete)})
