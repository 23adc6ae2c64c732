"""The report as people read it: a few lines, the numbers first."""

from __future__ import annotations

from graphopt.report.record import Report


def render(report: Report) -> str:
    """The report in brief, as plain text."""
    before, after = report.before, report.after
    lines = [
        f"{report.model}: {before.nodes} -> {after.nodes} nodes, "
        f"{_bytes(before.weight_bytes)} -> {_bytes(after.weight_bytes)} of weights, {report.seconds:.2f} s",
    ]
    for step in report.steps:
        hits = ", ".join(f"{rule} {count}" for rule, count in sorted(step.hits.items(), key=lambda hit: -hit[1]))
        if hits:
            lines.append(f"  {step.step:<12} {step.nodes_before:>6} -> {step.nodes_after:<6} {hits}")
    lines.append(
        f"{len(report.rewrites)} rewrites ({report.contract}), {report.regions_checked} regions run; "
        f"whole model: {report.whole.status}" + (f" ({report.whole.detail})" if report.whole.detail else "")
    )
    lines += [f"rolled back: {e.rule} at {e.place}: {e.verdict.detail}" for e in report.rolled_back]
    lines += [f"unverified: {e.rule} at {e.place}: {e.verdict.detail}" for e in report.unverified]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines)


def _bytes(count: int) -> str:
    for unit, scale in (("GB", 2**30), ("MB", 2**20), ("KB", 2**10)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
