"""How far outputs are from those of the float model; and quantised models beside it, as they will be deployed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import onnx

from graphopt.calibration.serving import served
from graphopt.ir.dtypes import elem_type
from graphopt.ir.model import Model
from graphopt.ir.types import Array
from graphopt.measure.provider import Session

MOST_HELD = 1 << 28
"""Bytes of inputs and outputs that are held: after these, no more samples are looked at."""
Arrays = Mapping[str, Array]


class Noise:
    """The power of what changes in outputs, beside their own. Integers, and what is not finite, do not count."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.changed, self.signal = np.zeros(len(self.names)), np.zeros(len(self.names))

    def add(self, plain: Arrays, found: Arrays) -> None:
        """Take in what a model gave before and after a change."""
        for place, name in enumerate(self.names):
            if np.issubdtype(plain[name].dtype, np.floating):
                self.signal[place] += _power(plain[name])
                self.changed[place] += _power(found[name] - plain[name])

    @property
    def share(self) -> float:
        """The mean over outputs of the share that changed."""
        return float((self.changed / np.where(self.signal > 0, self.signal, 1.0)).mean())


def _power(values: Array) -> float:
    finite = np.where(np.isfinite(values), values, 0.0)
    return float(np.square(finite, dtype=np.float64).sum())


SHARES = frozenset({"Softmax", "LogSoftmax"})


class Judge:
    """Sets models beside a float model, on samples on which that is run once. Raises ModelError if it does not run.

    Of a Softmax that is returned its operand is compared: shares say little of all samples but the doubtful ones.
    """

    def __init__(self, model: Model, batches: Iterable[Arrays]) -> None:
        self._held: list[tuple[Arrays, Arrays]] = []
        size = 0
        with served(model, partial(_returning, model), None) as (session, names):
            for feeds in batches:
                self._held.append((feeds, _run(session, feeds, names)))
                size += sum(array.nbytes for one in self._held[-1] for array in one.values())
                if size > MOST_HELD:
                    break

    def noise(self, model: Model) -> float:
        """What differs in the outputs, as a share of their power."""
        found = Noise([tensor.name for tensor in model.graph.outputs])
        with served(model, partial(_returning, model), None) as (session, names):
            for feeds, plain in self._held:
                found.add(plain, _run(session, feeds, names))
        return found.share


def _run(session: Session, feeds: Arrays, names: Mapping[str, str]) -> Arrays:
    """What is compared, by the outputs' names."""
    values = session.run(feeds)
    return {name: values[compared] for name, compared in names.items()}


def _returning(model: Model, proto: onnx.ModelProto) -> dict[str, str]:
    """Make a model return what is compared; by the names of the outputs."""
    returned = {value.name for value in (*proto.graph.output, *proto.graph.input)}
    names = {}
    for tensor in model.graph.outputs:
        maker = tensor.producer
        read = maker.inputs[0] if maker is not None and maker.op in SHARES and not maker.domain else tensor
        names[tensor.name] = read.name
        if read.name not in returned and tensor.dtype is not None:
            value = onnx.helper.make_tensor_value_info(read.name, elem_type(tensor.dtype), None)
            proto.graph.output.append(value)
            returned.add(read.name)
    return names
