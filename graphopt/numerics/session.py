"""A model in ONNX Runtime on the CPU, with everything off that could change the numbers."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, Self

from graphopt.numerics.alarm import ALARMS
from graphopt.numerics.failure import FailureKind, RunFailure
from graphopt.numerics.values import from_runtime, is_runtime, retyped, to_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graphopt.numerics.values import Value

ModelSource = bytes | str | os.PathLike[str]
"""A serialised model of up to 2 GB, or the path of one of any size."""

_ORT_MESSAGE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : (.*)$", re.DOTALL)
_SOURCE_PLACE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\)(?: const)?(?:::<lambda\(.*?\)>)?(?: \[with [^]]*\])? ")
_FAILED_NODE = r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' Status Message: "
_FAILED_NODES = re.compile(f"(?:{_FAILED_NODE})+")
"""A node, after all those in whose bodies it lies; the groups are those of the last one."""
_KINDS: dict[str, FailureKind] = {
    "INVALID_GRAPH": "invalid",
    "INVALID_PROTOBUF": "invalid",
    "NO_SUCHFILE": "invalid",
    "NO_MODEL": "invalid",
    "NOT_IMPLEMENTED": "unsupported",
}
_LONGEST_REASON = 600


class Session:
    """A loaded model, within its time limit. A context manager; every error leaves it as a RunFailure."""

    def __init__(self, model: ModelSource, *, folder: str = "", threads: int = 1, limit_s: float | None = None) -> None:
        self._source = model if isinstance(model, bytes) else os.fspath(model)
        self._folder, self._threads, self._limit_s = folder, threads, limit_s
        self._expired = False

    def __enter__(self) -> Self:
        import onnxruntime as ort

        self._options = _session_options(ort, self._folder, self._threads)
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 4
        self._alarm = None if self._limit_s is None else ALARMS.set(self._limit_s, self._expire)
        try:
            self._load(ort)
        except RunFailure:
            self._cancel()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cancel()
        del self._session

    def _load(self, ort: Any) -> None:
        with self._failures():
            self._session = ort.InferenceSession(self._source, self._options, providers=["CPUExecutionProvider"])
        given = [*self._session.get_inputs(), *self._session.get_overridable_initializers()]
        self._inputs = [value.name for value in given]
        self._outputs = {output.name: output.type for output in self._session.get_outputs()}

    def _cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _expire(self) -> None:
        self._expired = True
        self._run_options.terminate = True
        self._options.set_load_cancellation_flag(True)

    @property
    def output_names(self) -> list[str]:
        """Names of all outputs, in the order of the model."""
        return list(self._outputs)

    def run(self, feeds: Mapping[str, Value], outputs: Sequence[str] | None = None) -> list[Value]:
        """The outputs; `feeds` may hold names that the model does not know."""
        with self._failures():
            known = {name: to_runtime(feeds[name]) for name in self._inputs if name in feeds}
            names = self.output_names if outputs is None else list(outputs)
            wanted = [self._outputs.get(name, "") for name in names]
            if any(kind.startswith("sparse_tensor(") for kind in wanted):
                raise RunFailure("unsupported", "Sparse outputs have no arrays to compare.")
            if all(kind.startswith("tensor(") for kind in wanted) and all(map(is_runtime, known.values())):
                values = self._session.run_with_ort_values(names, known, self._run_options)
                return [from_runtime(value) for value in values]
            values = self._session.run(names, known, self._run_options)
            return [retyped(value, kind) for value, kind in zip(values, wanted, strict=True)]

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except RunFailure:
            raise
        except MemoryError as error:
            raise RunFailure("memory", "The runtime ran out of memory.") from error
        except Exception as error:
            if self._expired:
                raise RunFailure("timeout", f"No result after {self._limit_s:g} seconds.") from error
            raise failure_of(str(error)) from error


def _session_options(ort: Any, folder: str, threads: int) -> Any:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # what a run does not need any more goes back at once
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if folder:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    return options


def failure_of(message: str) -> RunFailure:
    """The runtime's sentence on one line, and the kind that its status code stands for."""
    kind: FailureKind = "failed"
    if match := _ORT_MESSAGE.match(message):
        kind, message = _KINDS.get(match[1], kind), match[2]
    elif "No corresponding Numpy type" in message:
        kind = "unsupported"
    message = _FAILED_NODES.sub(r"\1 '\2': ", _SOURCE_PLACE.sub("", " ".join(message.split())))
    if len(message) > _LONGEST_REASON:
        message = message[:_LONGEST_REASON] + " ..."
    return RunFailure(kind, message)
