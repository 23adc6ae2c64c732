"""The network that is imitated, run by ONNX Runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from graphopt.ir.model import Model
from graphopt.ir.types import Array, Tensor
from graphopt.measure.provider import open_session


class Teacher:
    """Gives what a student is to give. Use it as a context manager: it holds a file and a session of the runtime.

    also: tensors of the model, besides its outputs, whose values are wanted too. The model is not used afterwards.
    """

    def __init__(self, model: Model, also: Sequence[Tensor], threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="graphopt-")
        model.graph.outputs = [*model.graph.outputs, *also]
        path = Path(self._folder.name) / "teacher.onnx"
        model.save(path)
        self._session = open_session(path, threads=threads, name="the teacher")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.__exit__(kind, error, trace)
        self._folder.cleanup()

    def __call__(self, feeds: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        """Outputs by name."""
        return {name: torch.from_numpy(array) for name, array in self._session.run(feeds).items()}
