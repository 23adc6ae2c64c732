"""The table of integer kernels for a target: its own, or that of the processor of this machine."""

from __future__ import annotations

from functools import lru_cache

from graphopt.measure.environment import processor
from graphopt.target import HERE, Target
from passes.quant.kernels import ARM64, TABLES, X64_AMX, X64_ANY, X64_AVX2, X64_VNNI, Integers


def integers_of(target: Target) -> Integers:
    """How a target computes in integers: `cpu` and `ort` as this machine does, `portable` as any x86 does."""
    return detected() if target.name in HERE else TABLES.get(target.name, X64_ANY)


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
