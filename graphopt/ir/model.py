"""A model: a graph with everything else that its file says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.ir.types import Graph

if TYPE_CHECKING:
    import onnx


@dataclass(eq=False)
class Model:
    """A graph with everything else that its file says.

    functions: model-local functions, untouched (`onnx.FunctionProto`).
    extra: an `onnx.ModelProto` with the fields that nothing here reads (training_info, configuration).
    path: where it was read from, or None.
    """

    graph: Graph
    ir_version: int = 10
    producer_name: str = ""
    producer_version: str = ""
    domain: str = ""
    model_version: int = 0
    doc_string: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    functions: list[onnx.FunctionProto] = field(default_factory=list)
    extra: onnx.ModelProto | None = None
    path: Path | None = None

    @property
    def opsets(self) -> dict[str, int]:
        """Domain ("" for ai.onnx) to version, shared with the graph."""
        return self.graph.opsets

    def to_proto(self) -> onnx.ModelProto:
        """The whole model as one message. Raises OutputError above the 2 GB that a message can hold."""
        from graphopt.ir.writer import to_proto

        return to_proto(self)

    def save(self, path: str | Path) -> None:
        """Write the model to `path`, atomically; weights go beside it in `<name>.data` above 2 GB."""
        from graphopt.ir.writer import save

        save(self, Path(path))
