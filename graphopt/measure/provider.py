"""A model in ONNX Runtime as it is deployed: all optimisations on, on a chosen provider, never silently on another."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from graphopt.errors import ModelError, UsageError
from graphopt.ir.words import listed
from graphopt.measure.environment import cores
from graphopt.numerics.session import failure_of
from graphopt.numerics.values import Value, from_runtime, is_runtime, retyped, to_runtime

CPU = "cpu"
MOST_THREADS = 256
"""More are refused, unless the machine has more processors."""
LOSING = ("ConvAddActivationFusion",)
"""Optimisations of the runtime (1.32) that take a convolution into the sum behind it, also where it is an output."""
_SUFFIX = "ExecutionProvider"
_LOADING = re.compile(r"^(?:Load model (?:from )?\S+ failed: ?)+")
"""What the runtime says before the reason why a file does not load."""


class RunError(ModelError):
    """A model that has been loaded cannot be run on what it is fed."""


@dataclass(frozen=True)
class Placed:
    """A node that the chosen provider left to the CPU. name: "" where the model gives it none."""

    operator: str
    name: str

    def __str__(self) -> str:
        return f"{self.operator} {self.name}".rstrip()


def available() -> list[str]:
    """Names of the providers of the installed ONNX Runtime, as `open_session` takes them: `cpu`, `cuda`, ..."""
    import onnxruntime as ort

    return sorted(short(name) for name in ort.get_available_providers())


def check_provider(name: str) -> str:
    """The name as ONNX Runtime spells it. Raises UsageError, with those that there are, if it is not there."""
    import onnxruntime as ort

    for known in ort.get_available_providers():
        if name.lower() in (known.lower(), short(known)):
            return str(known)
    raise UsageError(
        f"there is no provider {name!r} in the installed onnxruntime {ort.__version__}; it has: {listed(available())} "
        "(others come with other packages, such as onnxruntime-gpu for cuda)"
    )


def check_threads(threads: int | None) -> int:
    """The number of threads, by default one for each core. Raises UsageError where no machine could use it."""
    if threads is None:
        return cores()
    most = max(MOST_THREADS, os.cpu_count() or 1)
    if not 1 <= threads <= most:
        raise UsageError(f"the number of threads must be 1 to {most}, found {threads}")
    return threads


def open_session(
    model: str | os.PathLike[str] | bytes,
    *,
    provider: str = CPU,
    threads: int | None = None,
    profile: Path | None = None,
    name: str = "",
    prepack: bool = True,
    inner: bool = False,
) -> Session:
    """Load a model, given as a path or as the bytes of a file, with all optimisations of the runtime.

    provider: `cpu`, `cuda` or another of `available()`; what it cannot run goes to the CPU, see `Session.left_to_cpu`.
    threads: that compute one operator, by default as many as there are cores. They sleep between operators.
    profile: the start of the path of a file into which the runtime writes its profile, see `Session.end_profile`.
    name: of the model in errors; by default its path.
    prepack: whether weights are copied into the layout that kernels like best; else those that lie in a file of
        external data are used where they are mapped.
    inner: whether some of the outputs are read inside the model too; without those optimisations that lose such ones.

    Raises UsageError for a provider that is not there or does not start, and for absurd threads; ModelError if the
    model does not load.
    """
    return Session(model, provider, threads, profile, name, prepack=prepack, inner=inner)


class Session:
    """A loaded model. A context manager: outside it, or after `close`, nothing of the model is held any more.

    inputs, outputs: names, in the order of the model; inputs without those that have defaults.
    left_to_cpu: the nodes that a provider other than the CPU did not take; the runtime has not fused them yet.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        provider: str,
        threads: int | None,
        profile: Path | None,
        name: str,
        *,
        prepack: bool = True,
        inner: bool = False,
    ) -> None:
        import onnxruntime as ort

        self.provider, self.threads = check_provider(provider), check_threads(threads)
        self.name = name or ("the model" if isinstance(model, bytes) else os.fspath(model))
        others = self.provider != _long(CPU)
        options = _options(ort, self.threads, profile, others=others, prepack=prepack)
        source = model if isinstance(model, bytes) else os.fspath(model)
        try:
            providers = list({self.provider: 0, _long(CPU): 0})
            without = list(LOSING) if inner else None
            self._session = ort.InferenceSession(source, options, providers=providers, disabled_optimizers=without)
        except Exception as error:
            reason = _LOADING.sub("", failure_of(str(error)).reason)
            raise ModelError(f"{self.name} does not load: {reason}") from error
        if self.provider not in self._session.get_providers():
            raise UsageError(
                f"the provider {provider} does not start on this machine: its libraries or its device fail"
            )
        self._session.disable_fallback()
        self.left_to_cpu = _left(self._session) if others else ()
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        self._known = {*self.inputs, *(one.name for one in self._session.get_overridable_initializers())}
        self._types = {one.name: one.type for one in self._session.get_outputs()}
        self.outputs = tuple(self._types)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the model; the session cannot be used any more."""
        self._session = None

    def run(self, feeds: Mapping[str, Value]) -> dict[str, Value]:
        """The outputs by name. `feeds` may hold names that the model does not know. Raises RunError if it fails."""
        values = self.prepared(feeds)()
        return {
            name: from_runtime(value) if is_runtime(value) else retyped(value, kind)
            for value, (name, kind) in zip(values, self._types.items(), strict=True)
        }

    def prepared(self, feeds: Mapping[str, Value]) -> Callable[[], list[Any]]:
        """A function that runs the model on `feeds` and gives the runtime's own values: as little else as possible.

        The feeds must stay as they are while it is used.
        """
        known = {name: to_runtime(value) for name, value in feeds.items() if name in self._known}
        names, session = list(self.outputs), self._session
        dense = all(kind.startswith("tensor(") for kind in self._types.values())
        call = session.run_with_ort_values if dense and all(map(is_runtime, known.values())) else session.run

        def run() -> list[Any]:
            try:
                return list(call(names, known))
            except Exception as error:
                raise RunError(f"{self.name} cannot be run: {failure_of(str(error)).reason}") from error

        return run

    def end_profile(self) -> Path:
        """Stop profiling; the file that the runtime has written, which is the caller's to remove."""
        return Path(self._session.end_profiling())


def _options(ort: Any, threads: int, profile: Path | None, *, others: bool, prepack: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    entries = {
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
        "session.force_spinning_stop": "1",
        "session.disable_prepacking": str(int(not prepack)),
        "session.record_ep_graph_assignment_info": str(int(others)),
    }
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = os.fspath(profile)
    return options


def _left(session: Any) -> tuple[Placed, ...]:
    """What the runtime gave to the CPU though another provider was asked first."""
    parts = [part for part in session.get_provider_graph_assignment_info() if part.ep_name == _long(CPU)]
    nodes = [node for part in parts for node in part.get_nodes()]
    return tuple(Placed(f"{node.domain}::{node.op_type}" if node.domain else node.op_type, node.name) for node in nodes)


def short(name: str) -> str:
    """The name of a provider as people write it, in whatever way it is written: `cpu`."""
    return name.lower().removesuffix(_SUFFIX.lower())


def _long(name: str) -> str:
    return name.upper() + _SUFFIX
