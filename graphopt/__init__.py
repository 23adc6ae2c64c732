"""graphopt: a verified, declarative graph compiler for ONNX models.

    result = graphopt.optimize("model.onnx", passes="fold,fuse")
    print(result.report)
    result.model.save("model.opt.onnx")

Importing this package is cheap: what it offers is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from graphopt.errors import (
    BudgetError,
    GraphoptError,
    ModelError,
    OutputError,
    PassError,
    UnsafeModelError,
    UsageError,
    VerificationError,
)

if TYPE_CHECKING:
    from graphopt.api import optimize
    from graphopt.budget import Budget
    from graphopt.compile import Result
    from graphopt.data.opening import open_data
    from graphopt.data.preprocess import Preprocess
    from graphopt.ir.model import Model
    from graphopt.ir.reader import load
    from graphopt.ir.writer import save
    from graphopt.measure.bench import bench
    from graphopt.measure.evaluate import Evaluation, evaluate
    from graphopt.measure.metrics import Metric
    from graphopt.numerics.contract import Close, Exact, Judged, Lossy
    from graphopt.pipeline.passes import Pass, rule_pass
    from graphopt.pipeline.text import Pipeline
    from graphopt.report.record import Report
    from graphopt.rewrite import Builder, Computed, Const, Match, Opt, Rest, Rule, Value, op, rule, values

_HOMES = {
    "graphopt.api": ("optimize",),
    "graphopt.budget": ("Budget",),
    "graphopt.compile": ("Result",),
    "graphopt.data.opening": ("open_data",),
    "graphopt.data.preprocess": ("Preprocess",),
    "graphopt.ir.reader": ("load",),
    "graphopt.ir.model": ("Model",),
    "graphopt.ir.writer": ("save",),
    "graphopt.measure.bench": ("bench",),
    "graphopt.measure.evaluate": ("Evaluation", "evaluate"),
    "graphopt.measure.metrics": ("Metric",),
    "graphopt.numerics.contract": ("Close", "Exact", "Judged", "Lossy"),
    "graphopt.pipeline.passes": ("Pass", "rule_pass"),
    "graphopt.pipeline.text": ("Pipeline",),
    "graphopt.report.record": ("Report",),
    "graphopt.rewrite": (
        "Builder",
        "Computed",
        "Const",
        "Match",
        "Opt",
        "Rest",
        "Rule",
        "Value",
        "op",
        "rule",
        "values",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "Budget",
    "BudgetError",
    "Builder",
    "Close",
    "Computed",
    "Const",
    "Evaluation",
    "Exact",
    "GraphoptError",
    "Judged",
    "Lossy",
    "Match",
    "Metric",
    "Model",
    "ModelError",
    "Opt",
    "OutputError",
    "Pass",
    "PassError",
    "Pipeline",
    "Preprocess",
    "Report",
    "Rest",
    "Result",
    "Rule",
    "UnsafeModelError",
    "UsageError",
    "Value",
    "VerificationError",
    "bench",
    "evaluate",
    "load",
    "op",
    "open_data",
    "optimize",
    "rule",
    "rule_pass",
    "save",
    "values",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        found = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
