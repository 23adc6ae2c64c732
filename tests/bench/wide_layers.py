"""Memory that pruning takes with samples and least squares, of networks of wide layers; each is a process of its own.

python -m tests.bench wide_layers
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

WIDTH, DEPTHS, SAMPLES = 4096, (4, 8), 256
PASSES = ("prune:macs=0.5", "prune:ratio=0.5:importance=l2")
MB = 1 << 20

PROGRAM = """
import json, sys
import graphopt
def status(field):
    held = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(held[field].split()[0]) / 1024
small, small_samples, model, samples, passes, out = sys.argv[1:]
graphopt.optimize(small, passes=passes, calibration=small_samples, verify="off").model.save(out)
base = status("VmRSS")
result = graphopt.optimize(model, passes=passes, calibration=samples, verify="off")
result.model.save(out)
share = result.report.after.weight_bytes / result.report.before.weight_bytes
print(json.dumps([base, status("VmHWM"), share]))
"""
"""Bytes that are mapped count too. The base is what the process has after the same was done with a small network."""


def main() -> None:
    print("| layers | pass | weights MB | left | base MB | peak MB | base + weights + a layer's matrices | of that |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        small = _written(Path(folder), 64, 4)
        for depth in DEPTHS:
            large = _written(Path(folder), WIDTH, depth)
            for passes in PASSES:
                print(_row(small, large, passes, depth), flush=True)


def _written(folder: Path, width: int, depth: int) -> tuple[Path, Path]:
    model, samples = folder / f"{width}.onnx", folder / f"{width}.npz"
    write(model, samples, width, depth)
    return model, samples


def _row(small: tuple[Path, Path], large: tuple[Path, Path], passes: str, depth: int) -> str:
    """One run. The matrices of a layer are its second moments, their inverse and its weights, in double precision."""
    arguments = map(str, (*small, *large, passes, large[0].with_name("out.onnx")))
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], check=True, capture_output=True, text=True)
    base, peak, share = json.loads(done.stdout)
    weights, matrix = 4 * depth * WIDTH**2 / MB, 8 * WIDTH**2 / MB
    bar = base + weights + 3 * matrix
    cells = (depth, passes, f"{weights:.0f}", f"{share:.2f}", *(f"{mb:.0f}" for mb in (base, peak, bar)))
    return f"| {' | '.join(map(str, cells))} | {peak / bar:.2f} |"


def write(model: Path, samples: Path, width: int, depth: int) -> None:
    """A network of layers of one width, a weight at a time, and samples for it."""
    rng = np.random.default_rng(0)
    weights, nodes, last = [], [], "x"
    with model.with_suffix(".data").open("wb") as data:
        for layer in range(depth):
            weight = TensorProto(name=f"w{layer}", data_type=TensorProto.FLOAT, dims=[width, width])
            weight.data_location = TensorProto.EXTERNAL
            weight.external_data.add(key="location", value=model.with_suffix(".data").name)
            weight.external_data.add(key="offset", value=str(data.tell()))
            values = rng.standard_normal((width, width), np.float32) * np.float32((2 / width) ** 0.5)
            data.write(values.tobytes())
            weight.external_data.add(key="length", value=str(values.nbytes))
            weights.append(weight)
            nodes += [helper.make_node("MatMul", [last, weight.name], [f"a{layer}"])]
            nodes += [helper.make_node("Relu", [f"a{layer}"], [f"r{layer}"])]
            last = f"r{layer}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "wide", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    np.savez(samples, x=rng.standard_normal((SAMPLES, width), np.float32))


if __name__ == "__main__":
    main()
