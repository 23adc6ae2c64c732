"""A model at a glance, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphopt.report.inspection import Findings, Inspection, Port
from graphopt.report.style import amount, counted, indented, labelled, sentence, shortened, size, table, text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

MOST_OPERATORS = 25


def layout(record: Inspection) -> Group:
    """The inspection for a console: sizes, interface, operators, what a pipeline would find."""
    from rich.console import Group

    parts: list[RenderableType] = [text(record.model, "bold"), indented(_facts(record))]
    parts.append(indented(_ports(record)))
    if record.operators:
        parts.append(indented(_operators(record)))
    if record.target:
        parts.append(indented(_lacking(record)))
    if record.findings is not None:
        parts.append(indented(_findings(record, record.findings)))
    return Group(*parts)


def _facts(record: Inspection) -> Table:
    nested = f", {record.all_nodes:,} with {counted(record.subgraphs, 'subgraph')}" if record.subgraphs else ""
    at = ", ".join(f"{name}={number}" for name, number in record.dimensions.items())
    missing = f", without {counted(record.unknown_macs, 'node')} of unknown shape" if record.unknown_macs else ""
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in record.opsets.items())
    functions = ", ".join(f"{name} ({counted(nodes, 'node')})" for name, nodes in record.functions.items())
    facts = {
        "nodes": f"{record.nodes:,}{nested}",
        "parameters": f"{amount(record.parameters)} in {size(record.weight_bytes)}",
        "multiply-adds": amount(record.macs) + (f" at {at}" if at else "") + missing,
        "opsets": f"{opsets or 'none'}; IR version {record.ir_version}",
        "producer": record.producer,
        "functions": functions,
        **{f"metadata {key}": value for key, value in record.metadata.items()},
    }
    return labelled((shortened(name, 40), shortened(fact)) for name, fact in facts.items() if fact)


def _ports(record: Inspection) -> Table:
    grid = table("", "name", "type")
    for title, ports in (("input", record.inputs), ("output", record.outputs)):
        for port in ports:
            grid.add_row(text(title, "dim"), text(port.name, "bold"), text(_type(port)))
    return grid


def _type(port: Port) -> str:
    return port.kind + (", has a default" if port.default else "")


def _operators(record: Inspection) -> Table:
    columns = ("operator", "nodes", "parameters", "multiply-adds", "share")
    grid = table(*columns, right=columns[1:])
    for row in record.operators[:MOST_OPERATORS]:
        share = f"{row.macs / record.macs:.1%}" if row.macs else ""
        macs = (amount(row.macs) if row.macs else "") + (f" + {row.unknown} unknown" if row.unknown else "")
        grid.add_row(text(row.name), f"{row.count:,}", amount(row.parameters) if row.parameters else "", macs, share)
    rest = record.operators[MOST_OPERATORS:]
    if rest:
        grid.add_row(text(f"{len(rest)} others", "dim"), f"{sum(row.count for row in rest):,}")
    return grid


def _lacking(record: Inspection) -> RenderableType:
    if not record.lacking:
        return text(f"The target {record.target} has a kernel for every node.", "green")
    from rich.console import Group

    lines = (f"{reason[0].upper()}{reason[1:]}: {counted(nodes, 'node')}" for reason, nodes in record.lacking.items())
    return Group(*(text(sentence(line), "yellow") for line in lines))


def _findings(record: Inspection, findings: Findings) -> RenderableType:
    title = f"{findings.pipeline} (tried, not verified): "
    if findings.problem:
        return text(title + sentence(findings.problem), "yellow")
    if not findings.hits:
        return text(title + "nothing to rewrite.")
    hits = ", ".join(f"{rule} {count}" for rule, count in findings.hits.items())
    left = f"{record.nodes:,} -> {findings.nodes:,} nodes, "
    return text(f"{title}{left}{size(record.weight_bytes)} -> {size(findings.weight_bytes)} by {hits}.")
