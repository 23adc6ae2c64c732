"""Records as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any


def to_json(record: Any, indent: int | None = 2) -> str:
    """A dataclass, or values made of lists, dicts and numbers, as JSON text.

    JSON has no infinite numbers and no NaN: they are written as the texts "inf", "-inf" and "nan".
    """
    value = dataclasses.asdict(record) if dataclasses.is_dataclass(record) and not isinstance(record, type) else record
    return json.dumps(_finite(value), indent=indent)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
