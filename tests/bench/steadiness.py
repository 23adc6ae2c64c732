"""Whether the benchmark can be believed: a model beside itself, and beside one that does a tenth more work."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from graphopt.measure.bench import bench
from graphopt.report.bench_text import spelled

RUNS = 20
SECONDS = 20.0
LAYERS, MORE = 20, 22
"""Equal layers, of which none can be removed or merged: the second model has 10 % more to do."""
ROWS, WIDTH = 32, 256


def tower(layers: int) -> onnx.ModelProto:
    """A chain of matrix products with a Relu after each."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    for i in range(layers):
        weight = (rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"p{i}"], name=f"product{i}"))
        nodes.append(helper.make_node("Relu", [f"p{i}"], [f"x{i + 1}"], name=f"relu{i}"))
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [ROWS, WIDTH]) for n in ("x0", f"x{layers}")]
    graph = helper.make_graph(nodes, "tower", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main(runs: int = RUNS) -> None:
    """Two tables, with a row for each run."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "one.onnx", Path(folder) / "more.onnx"
        one.write_bytes(tower(LAYERS).SerializeToString())
        other.write_bytes(tower(MORE).SerializeToString())
        table("the same file twice", [one, one], runs)
        table("a tenth more work", [one, other], runs // 4)


def table(title: str, models: list[Path], runs: int) -> None:
    columns = ("run", "ratio of latencies", "differs from 1", "processes", "load")
    print(f"{title}, {runs} runs\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    differs = 0
    for seed in range(runs):
        found = bench(models, threads=[1], seconds=SECONDS, seed=seed)
        ratio = found.results[1].ratio
        differs += ratio.differs
        facts = (spelled(ratio), "yes" if ratio.differs else "no", found.settings[0].processes, found.environment.load)
        print("| " + " | ".join(map(str, (seed, *facts))) + " |", flush=True)
    print(f"\nThe interval does not hold 1 in {differs} of {runs} runs.\n", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
