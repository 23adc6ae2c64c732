"""The network that is imitated, run by ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from graphopt.ir.model import Model
from graphopt.ir.types import Array, Tensor
from graphopt.measure.provider import open_session


class Teacher:
    """Gives what a student is to give.

    also: tensors of the model, besides its outputs, whose values are wanted too. The model is not used afterwards.
    """

    def __init__(self, model: Model, also: Sequence[Tensor], threads: int) -> None:
        model.graph.outputs = [*model.graph.outputs, *also]
        with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
            path = Path(folder) / "teacher.onnx"
            model.save(path)
            self._session = open_session(path, threads=threads, name="the teacher", inner=bool(also))

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        """Outputs by name."""
        return {name: torch.from_numpy(array) for name, array in self._session.run(feeds).items()}
