"""Tools that make a model faster in ONNX Runtime, each as a function from one file to another.

onnxslim, onnxsim and onnxscript come with `pip install --group bench`. ONNX Runtime's tool for transformers is told
what it asks for: the type, the number of heads and the hidden size.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

import graphopt

CPU = ["CPUExecutionProvider"]


@dataclass(frozen=True)
class Kind:
    """What ONNX Runtime's tool for transformers is told of a network."""

    type: str
    heads: int
    hidden: int


Tool = Callable[[Path, Path], object]


def tools(kind: Kind | None) -> Mapping[str, Tool]:
    """Every tool by name, ours first, for a CPU and by default; that for transformers where it knows the network."""
    return TOOLS if kind is None else {**TOOLS, "ort_transformers": lambda a, b: transformers(a, b, kind)}


def _ours(source: Path, target: Path, where: str = "cpu") -> None:
    result = graphopt.optimize(source, target=where)
    assert not result.report.rolled_back, result.report
    result.model.save(target)


def _slim(source: Path, target: Path) -> None:
    importlib.import_module("onnxslim").slim(str(source), str(target))


def _sim(source: Path, target: Path) -> None:
    made, _ = importlib.import_module("onnxsim").simplify(onnx.load(source))
    onnx.save(made, target)


def _onnxscript(source: Path, target: Path) -> None:
    ir = importlib.import_module("onnx_ir")
    rewriter = importlib.import_module("onnxscript.rewriter.ort_fusions")
    made = rewriter.optimize_for_ort(ir.load(source))
    ir.save(made[0] if isinstance(made, tuple) else made, target)


def offline(source: Path, target: Path, *, basic: bool = False) -> None:
    """What ONNX Runtime makes of a model when it loads it."""
    import onnxruntime as ort

    levels = ort.GraphOptimizationLevel
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC if basic else levels.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(source), options, providers=CPU)


def transformers(source: Path, target: Path, kind: Kind) -> None:
    """The tool at its level 1: the runtime's basic optimisations, then its own."""
    optimizer = importlib.import_module("onnxruntime.transformers.optimizer")
    with tempfile.TemporaryDirectory() as folder:
        basic = Path(folder) / "basic.onnx"
        offline(source, basic, basic=True)
        made = optimizer.optimize_model(
            str(basic), model_type=kind.type, num_heads=kind.heads, hidden_size=kind.hidden, opt_level=0
        )
        made.save_model_to_file(str(target))


TOOLS: Mapping[str, Tool] = {
    "graphopt": _ours,
    "graphopt_ort": lambda source, target: _ours(source, target, "ort"),
    "onnxslim": _slim,
    "onnxsim": _sim,
    "onnxscript_ort": _onnxscript,
    "ort_offline": offline,
}
