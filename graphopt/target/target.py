"""Targets: what a compiled model may consist of, as data.

A target judges the domains that it has a table for. Operators of other domains are the user's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from graphopt.errors import UsageError
from graphopt.ir import dtypes
from graphopt.target import kernels
from graphopt.target.kernels import Kernels

ONNX, MICROSOFT = "", "com.microsoft"


@dataclass(frozen=True, eq=False)
class Target:
    """Where a model is to run. kernels: the operators with kernels there, and the floating dtypes these compute in.

    judged: the domains of which it runs nothing but what `kernels` says.
    slow: operators that it runs, but slower than what a rule would write them for, with the reason.
    elsewhere: whether it may have kernels that ONNX Runtime's CPU provider, on which models are compared, has not.
    """

    name: str
    doc: str
    kernels: Kernels
    judged: frozenset[str]
    slow: Mapping[str, str] = field(default_factory=dict)
    elsewhere: bool = False

    def lacks(self, op: str, domain: str = "", dtype: dtypes.DType | None = None) -> str | None:
        """Why the target does not run an operator (on a floating `dtype`), in words; None if nothing speaks against it.

        Operators of ai.onnx that are functions of others run everywhere: the runtime takes them apart.
        """
        name = f"{domain}::{op}" if domain else op
        floats = self.kernels.get(name)
        if floats is None:
            missing = domain in self.judged and not _is_function(op, domain)
            missing = missing or name in UNOFFICIAL
            return f"the target {self.name} does not run {name}" if missing else None
        on = "" if dtype is None or dtype not in dtypes.FLOATS else dtypes.name(dtype)
        wrong = on in kernels.LETTERS.values() and floats and on not in floats
        return f"the target {self.name} does not run {name} on {on}" if wrong else None

    def spurns(self, op: str, domain: str = "") -> str | None:
        """Why no rule should write an operator for this target, in words; None if nothing speaks against it."""
        name = f"{domain}::{op}" if domain else op
        if name in self.slow:
            return f"{self.slow[name]}; the targets ort and cuda have it"
        return self.lacks(op, domain)

    def runs(self, op: str, domain: str = "", dtype: dtypes.DType | None = None) -> bool:
        """Whether nothing speaks against an operator on this target."""
        return self.lacks(op, domain, dtype) is None

    def __repr__(self) -> str:
        return self.name


@lru_cache(maxsize=4096)
def _is_function(op: str, domain: str) -> bool:
    """Whether the operator is defined by others, or (Constant) needs no kernel."""
    from onnx import defs

    if (op, domain) == ("Constant", ONNX):
        return True
    try:
        schema: Any = defs.get_schema(op, domain)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _with_casts(table: Kernels) -> Kernels:
    """ONNX Runtime's CPU provider puts Casts around a float16 call of an operator that it has only in float."""
    return {name: floats | {"float16"} if "float" in floats else floats for name, floats in table.items()}


def _both(one: Kernels, other: Kernels, domain: str) -> Kernels:
    """What both run of the operators of a domain, and of the runtime's own operators among those of ai.onnx."""
    named = (name for name in one.keys() & other.keys() if name.startswith(f"{domain}::") or name in UNOFFICIAL)
    return {name: one[name] & other[name] for name in named}


UNOFFICIAL = frozenset({"SimplifiedLayerNormalization"})
"""Operators that ONNX Runtime has in ai.onnx although the standard does not."""

SLOW_ON_CPU = {
    "Shrink": "Shrink takes seven times as long as Mul on ONNX Runtime's CPU provider",
    "com.microsoft::SkipLayerNormalization": "SkipLayerNormalization takes two to six times as long as Sum and"
    " LayerNormalization on ONNX Runtime's CPU provider",
}
"""Measured at a width of 768 with ONNX Runtime 1.31, `python -m tests.bench skip_norm`; Shrink with 1.32, by itself."""

CPU = Target(
    "cpu",
    "ONNX Runtime's CPU provider.",
    _with_casts(kernels.CPU),
    frozenset({ONNX, "ai.onnx.ml", MICROSOFT}),
    SLOW_ON_CPU,
)
CUDA = Target(
    "cuda", "ONNX Runtime's CUDA provider.", kernels.CUDA, frozenset({ONNX, "ai.onnx.ml", MICROSOFT}), elsewhere=True
)
ORT = Target(
    "ort",
    "ONNX Runtime: all of ai.onnx, and what its CPU and CUDA providers both run of com.microsoft.",
    _both(CPU.kernels, CUDA.kernels, MICROSOFT),
    frozenset({MICROSOFT}),
)
PORTABLE = Target("portable", "Any runtime: ai.onnx only.", {}, frozenset({MICROSOFT}), elsewhere=True)

X64_VNNI = replace(CPU, name="x64-vnni", doc="ONNX Runtime's CPU provider on x86 with VNNI.")
X64_AVX2 = replace(CPU, name="x64-avx2", doc="ONNX Runtime's CPU provider on x86 with AVX2, but without VNNI.")
X64_ANY = replace(CPU, name="x64-any", doc="ONNX Runtime's CPU provider on whichever x86.")
ARM64 = replace(CPU, name="arm64", doc="ONNX Runtime's CPU provider on ARM.")
TENSORRT = Target(
    "tensorrt", "TensorRT, by itself or in ONNX Runtime: ai.onnx only.", {}, frozenset({MICROSOFT}), elsewhere=True
)
PROCESSORS = (X64_VNNI, X64_AVX2, X64_ANY, ARM64)
"""CPUs that differ in how they compute with integers; `cpu` stands for that of this machine."""

TARGETS = {target.name: target for target in (ORT, CPU, CUDA, PORTABLE, *PROCESSORS, TENSORRT)}
"""All targets by name, the default first."""
HERE = frozenset({CPU.name, ORT.name})
"""Targets that stand for the processor of the machine that compiles."""


def advice(target: Target, before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """What to tell of a model for `ort` in which there are more operators than before that are slower on a CPU.

    before, after: how often each operator occurs.
    """
    written = (name for name in CPU.slow if target is ORT and after.get(name, 0) > before.get(name, 0))
    return [f"{CPU.slow[name]}: if the model runs only there, say --target cpu" for name in written]


def target_named(name: str | Target) -> Target:
    """The target of that name. Raises UsageError with what there is."""
    if isinstance(name, Target):
        return name
    if name not in TARGETS:
        raise UsageError(f"there is no target {name!r}; there are: {', '.join(TARGETS)}")
    return TARGETS[name]
