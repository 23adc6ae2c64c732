"""A model with more outputs than it has, in ONNX Runtime as it is deployed."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx

from graphopt.ir import writer
from graphopt.ir.emit import constants
from graphopt.ir.model import Model
from graphopt.ir.types import Array
from graphopt.measure.provider import Session, open_session

IN_MEMORY = 1 << 30
"""Bytes of weights up to which a model is handed to the runtime in memory."""
T = TypeVar("T")


@contextlib.contextmanager
def served(model: Model, change: Callable[[onnx.ModelProto], T], threads: int | None) -> Iterator[tuple[Session, T]]:
    """The model, after `change` of its message, loaded with all optimisations; and what `change` gave.

    `change` adds nodes and outputs to the message. Raises ModelError if the model does not load.
    """
    name = "the model that is calibrated"
    if sum(constant.nbytes for constant in constants(model)) <= IN_MEMORY:
        proto = writer.to_proto(model)
        made = change(proto)
        inner = _read_inside(proto.graph)
        with open_session(proto.SerializeToString(), threads=threads, name=name, inner=inner) as session:
            del proto
            yield session, made
        return
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        path = Path(folder) / "model.onnx"
        writer.save(model, path, external_data=True)
        proto = onnx.load_model(path, load_external_data=False)
        made = change(proto)
        path.write_bytes(proto.SerializeToString())
        with open_session(path, threads=threads, name=name, inner=_read_inside(proto.graph)) as session:
            yield session, made


def defaults(model: Model) -> dict[str, Array]:
    """What the inputs hold that nobody has to feed, by name."""
    return {tensor.name: np.asarray(held.values) for tensor, held in model.graph.defaults.items()}


def _read_inside(graph: onnx.GraphProto) -> bool:
    """Whether a node of the outermost graph reads an output: some fusions of the runtime lose such a one."""
    outputs = {output.name for output in graph.output}
    return any(name in outputs for node in graph.node for name in node.input)
