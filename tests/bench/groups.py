"""What pruning finds in the corpus, whether cutting is what zeroing was, and how long grouping takes.

python -m tests.bench groups
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from graphopt.analysis.shapes import Shapes
from graphopt.ir.reader import load
from graphopt.numerics.run import InProcess
from passes.prune.choose import why_nothing
from passes.prune.grouping import Grouping
from tests.corpus import files
from tests.passes.prune.test_law import taken_out, zeroed

SHARES = (0.25, 0.5)
SIZES = (1_000, 10_000, 100_000)
WIDTH = 16


def main() -> None:
    print("| network | groups | pinned | weights left at 0.25 | error | at 0.5 | error | why nothing |")
    print("|---|---|---|---|---|---|---|---|")
    for path in files.models():
        print(_row(path), flush=True)
    print("\n| nodes | groups | seconds of one core |\n|---|---|---|")
    for size in SIZES:
        print(_timed(size), flush=True)


def _row(path: Path) -> str:
    """Groups of a file by kind, and at both shares the weights that are left and the difference to zeroing."""
    model = load(path)
    found = Grouping(model, Shapes(model))
    kinds = Counter(str(group.kind) for group in found.groups)
    groups = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "none"
    if not found.groups:
        return f"| {path.stem} | none | {len(found.pinned)} | | | | | {why_nothing(found)} |"
    cells = [cell for share in SHARES for cell in _measured(path, share)]
    return f"| {path.stem} | {groups} | {len(found.pinned)} | {' | '.join(cells)} | |"


def _measured(path: Path, share: float) -> tuple[str, str]:
    proto = onnx.load(path)
    smaller, _, plan = taken_out(proto, 0, share)
    if not plan:
        return "100 %", "-"
    masked, feeds = zeroed(proto, 0, share), files.inputs(path)
    expected, cut = (InProcess().run(model.SerializeToString(), feeds) for model in (masked, smaller))
    errors = [_error(one, other) for one, other in zip(expected, cut, strict=True)]
    before, after = (sum(held.nbytes for held in _weights(model)) for model in (proto, smaller))
    return f"{100 * after / before:.0f} %", f"{max(errors):.1e}"


def _weights(proto: onnx.ModelProto) -> list[np.ndarray]:
    held = [onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer]
    values = (a.t for node in proto.graph.node if node.op_type == "Constant" for a in node.attribute if a.HasField("t"))
    return held + [onnx.numpy_helper.to_array(value) for value in values]


def _error(expected: np.ndarray, found: np.ndarray) -> float:
    """The largest difference, in units of the largest number."""
    if expected.shape != found.shape:
        return float("inf")
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    return float(difference / max(np.abs(expected.astype(np.float64)).max(), 1e-30))


def _timed(size: int) -> str:
    model = load(residual(size).SerializeToString())
    shapes = Shapes(model)
    started = time.thread_time()
    found = Grouping(model, shapes)
    seconds = time.thread_time() - started
    return f"| {len(model.graph.nodes):,} | {len(found.groups):,} | {seconds:.1f} |"


def residual(count: int) -> onnx.ModelProto:
    """About `count` operators in residual blocks of convolutions and normalisations."""
    shapes = {"w1": (WIDTH, WIDTH, 1, 1), "w2": (WIDTH, WIDTH, 1, 1)}
    shapes |= dict.fromkeys(("b", "gamma", "beta", "mean", "var"), (WIDTH,))
    nodes, weights, last = [], [], "x"
    for block in range(count // 5):
        own = {name: f"{name}_{block}" for name in (*shapes, "c", "n", "r", "d", "s")}
        weights += [onnx.numpy_helper.from_array(np.ones(shape, "f4"), own[name]) for name, shape in shapes.items()]
        vectors = [own[name] for name in ("gamma", "beta", "mean", "var")]
        nodes += [
            helper.make_node("Conv", [last, own["w1"], own["b"]], [own["c"]]),
            helper.make_node("BatchNormalization", [own["c"], *vectors], [own["n"]]),
            helper.make_node("Relu", [own["n"]], [own["r"]]),
            helper.make_node("Conv", [own["r"], own["w2"]], [own["d"]]),
            helper.make_node("Add", [own["d"], last], [own["s"]]),
        ]
        last = own["s"]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", WIDTH, 8, 8]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "residual", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


if __name__ == "__main__":
    main()
