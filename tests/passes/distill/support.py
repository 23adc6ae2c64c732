"""What tests of training share: a small network, its teacher, and data of two classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx

from graphopt.data.batch import Batch
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from tests.support import proto

NETWORK = """agraph (float[N, 1, 6, 6] x) => (float[N, 3] y) {
    c = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r = Relu (c)
    d = Conv (r, w2, b2)
    s = Relu (d)
    p = GlobalAveragePool (s)
    f = Flatten (p)
    y = Gemm <transB = 1> (f, w3, b3)
}"""


def weights(width: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"w1": (width, 1, 3, 3), "b1": (width,), "w2": (6, width, 3, 3), "b2": (6,), "w3": (3, 6), "b3": (3,)}
    return {name: (rng.standard_normal(shape) * 0.5).astype(np.float32) for name, shape in shapes.items()}


def message(width: int = 4, seed: int = 1) -> onnx.ModelProto:
    return proto(NETWORK, weights(width, seed))


def network(width: int = 4, seed: int = 1) -> Model:
    return load(message(width, seed))


@dataclass
class Drawn:
    """Samples in memory. size: of the batches that are read."""

    x: np.ndarray
    y: np.ndarray | None = None
    size: int = 16
    input: str = "x"
    read: list[int] = field(default_factory=list)
    name: str = "drawn"

    @property
    def count(self) -> int:
        return len(self.x)

    @property
    def labelled(self) -> bool:
        return self.y is not None

    def batches(self, size: int | None = None, limit: int | None = None) -> Iterator[Batch]:
        last = min(limit or self.count, self.count)
        self.read.append(last)
        for start in range(0, last, size or self.size):
            rows = slice(start, min(start + (size or self.size), last))
            labels = None if self.y is None else self.y[rows]
            yield Batch({self.input: self.x[rows]}, labels, len(self.x[rows]))

    def labels(self) -> Iterator[np.ndarray]:
        return iter(()) if self.y is None else iter([self.y])

    def fingerprint(self) -> str:
        return f"{self.x.sum()}"


def drawn(count: int = 64, seed: int = 0, *, labels: bool = False) -> Drawn:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 1, 6, 6)).astype(np.float32)
    return Drawn(x, rng.integers(0, 3, count) if labels else None)
