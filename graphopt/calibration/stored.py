"""Ranges in a file, with what they were found from: whoever asks for the same again has them without a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir import writer
from graphopt.ir.atomic import Pending, told
from graphopt.ir.emit import constants
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Tensor
from graphopt.ir.words import quoted

FORMAT = 1
Edges = tuple[float, float]


def content(model: Model, data: Data, tensors: Iterable[Tensor], *settings: object) -> str:
    """A hash of everything that ranges depend on: the graph, its weights, the samples, and how they are looked at."""
    digest = hashlib.sha256(writer.skeleton(model).SerializeToString(deterministic=True))
    for constant in constants(model):
        if constant.dtype.kind != "O":
            digest.update(_bytes(constant.values))
    names = [tensor.name for tensor in tensors]
    digest.update(json.dumps([data.fingerprint(), names, [str(one) for one in settings]]).encode())
    return digest.hexdigest()


def _bytes(values: Array) -> bytes:
    return values.tobytes()


def save_ranges(path: Path, key: str, method: str, ranges: Mapping[str, Edges], samples: int) -> None:
    """Write ranges by name, beside those by other methods from the same content. Raises OutputError, UsageError."""
    known = {**_read(path, key).get("ranges", {}), method: {name: list(edges) for name, edges in ranges.items()}}
    held = {"format": FORMAT, "content": key, "samples": samples, "ranges": known}
    with told(path), Pending(path) as out:
        out.write(json.dumps(held, indent=1).encode())
        out.commit()


def load_ranges(path: Path, key: str, method: str) -> tuple[dict[str, Edges], int] | None:
    """The ranges in a file and how many samples they are from; None if there is no file, or it has those of other
    content or by other methods. Raises UsageError for a file that holds no ranges."""
    held = _read(path, key)
    if method not in held.get("ranges", {}):
        return None
    try:
        found = {str(name): (float(low), float(high)) for name, (low, high) in held["ranges"][method].items()}
        return found, int(held["samples"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path) from error


def _read(path: Path, key: str) -> dict[str, Any]:
    """What a file holds for this content; nothing if there is no file, or it is about another."""
    if not path.exists():
        return {}
    try:
        held = json.loads(path.read_bytes())
        known, same = dict(held["ranges"]), held["content"] == key
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path) from error
    return {**held, "ranges": known} if same else {}


def _unreadable(path: Path) -> UsageError:
    return UsageError(f"{quoted(str(path))} holds no ranges of a calibration: remove it, or name another")
