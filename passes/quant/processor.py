"""The table of integer kernels for a target: its own, or that of the processor of this machine."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from graphopt.errors import UsageError
from graphopt.measure.environment import processor
from graphopt.target import HERE, PORTABLE, Target
from passes.quant.grid import UINT16
from passes.quant.kernels import ARM64, TABLES, X64_AMX, X64_ANY, X64_AVX2, X64_VNNI, Integers

WIDE = "static16"
"""The scheme with activations of 16 bits."""


def integers_of(target: Target) -> Integers:
    """How a target computes in integers: `cpu` and `ort` as this machine does, `portable` as any x86 does."""
    return detected() if target.name in HERE else TABLES.get(target.name, X64_ANY)


def integers_for(target: Target, scheme: str) -> Integers:
    """As `integers_of`, for a scheme. Raises UsageError for one that the target cannot run."""
    if scheme != WIDE:
        return integers_of(target)
    if target is not PORTABLE:
        raise UsageError(
            f"the target {target} has no kernels for activations of 16 bits: scheme={WIDE} is for other runtimes, "
            "target portable"
        )
    return replace(X64_ANY, name=target.name, activation=UINT16, bits=8, saturates=False, fours=False)


@lru_cache(maxsize=1)
def detected() -> Integers:
    """The table for the processor of this machine; the safest one where the system does not tell what it can."""
    architecture, *features = processor()
    return table(architecture, tuple(features))


def table(architecture: str, features: tuple[str, ...]) -> Integers:
    """The table for a processor with these features, as `graphopt.measure.environment` names them."""
    if architecture.lower() in ("aarch64", "arm64"):
        return ARM64
    if "amx_int8" in features:
        return X64_AMX
    if "vnni" in features:
        return X64_VNNI
    return X64_AVX2 if "avx2" in features else X64_ANY
