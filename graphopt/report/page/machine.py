"""Where something was made or measured, as facts."""

from __future__ import annotations

from collections.abc import Mapping

from graphopt.measure.environment import Environment
from graphopt.report.style import counted, size


def machine(found: Environment | None, versions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Label and fact for each thing that is known of the machine and of what runs on it."""
    facts = [
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items() if version[:1].isdigit()))
    ]
    if found is None:
        return facts
    processor = f"{found.processor}, {counted(found.cores, 'core')}, {counted(found.processors, 'logical processor')}"
    known = [
        ("processor", processor),
        ("features", ", ".join(found.features)),
        ("memory", size(found.memory) if found.memory else ""),
        ("system", f"{found.system}, {found.architecture}"),
    ]
    return [*((name, fact) for name, fact in known if fact), *facts]
