"""Weights of a large model never enter the memory of the process that reads and writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from graphopt.ir import wire
from graphopt.ir.reader import load

MEASURE = """
import json, sys
from pathlib import Path
from graphopt.ir.reader import load
from graphopt.ir.writer import save

def resident(kind):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(kind))
    return int(line.split()[1]) * 1024

save(load(sys.argv[3]), sys.argv[2] + ".warm", external_data=False)
before = resident("VmHWM")
model = load(sys.argv[1])
save(model, sys.argv[2], external_data=sys.argv[4] == "True")
read = resident("VmHWM") - before
total = sum(float(constant.values[0, 0]) for constant in model.graph.initializers)
print(json.dumps({"peak": read, "anonymous": resident("RssAnon"), "total": total}))
"""
COLUMNS = 1 << 20


def large(path: Path, tensors: int, *, holes: bool = False) -> int:
    """A model of `tensors` matrices of 32 MB, written by hand; with holes it takes no room on the disk."""
    heads = []
    for index in range(tensors):
        head = TensorProto(name=f"w{index}", dims=[8, COLUMNS], data_type=TensorProto.FLOAT).SerializeToString()
        size = 32 * COLUMNS
        raw = wire.varint(9 << 3 | 2) + wire.varint(size)
        heads.append((wire.varint(5 << 3 | 2) + wire.varint(len(head) + len(raw) + size) + head + raw, size))
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8, COLUMNS]) for name in ("x", "y")]
    nodes = [helper.make_node("Sum", ["x", *(f"w{index}" for index in range(tensors))], ["y"])]
    rest = helper.make_graph(nodes, "g", info[:1], info[1:]).SerializeToString()
    length = len(rest) + sum(len(head) + size for head, size in heads)
    model = helper.make_model(
        helper.make_graph([], "", [], []), ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ClearField("graph")
    with path.open("wb") as out:
        out.write(model.SerializeToString() + wire.varint(7 << 3 | 2) + wire.varint(length) + rest)
        for index, (head, size) in enumerate(heads):
            out.write(head)
            if holes:
                out.seek(size - 1, 1)
                out.write(b"\0")
            else:
                out.write(np.full(size // 4, index, np.float32).data)
    return path.stat().st_size


@pytest.mark.parametrize("external", [False, True])
def test_reading_and_writing_300_mb(tmp_path, external):
    assert large(tmp_path / "m.onnx", 10) > 300 << 20
    large(tmp_path / "small.onnx", 0)
    arguments = [tmp_path / "m.onnx", tmp_path / "out.onnx", tmp_path / "small.onnx", external]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["total"] == sum(range(10))
    assert found["peak"] < 20 << 20
    back = load(tmp_path / "out.onnx")
    assert [float(constant.values[7, -1]) for constant in back.graph.initializers] == list(range(10))


def test_a_model_above_2_gb_is_read(tmp_path):
    """Such a file is no valid message, but all there is."""
    assert large(tmp_path / "m.onnx", 80, holes=True) > 2**31
    model = load(tmp_path / "m.onnx")
    assert len(model.graph.initializers) == 80
    assert model.graph.initializers[79].values[7, -1] == 0
