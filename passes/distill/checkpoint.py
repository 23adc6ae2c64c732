"""Where an interrupted run goes on: the state after an epoch, as arrays in a file that appears whole."""

from __future__ import annotations

import io
import json
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from graphopt.errors import UsageError
from graphopt.ir.atomic import Pending, told
from passes.distill.training import State, Weights

KEY_DIGITS = 16


def _path(folder: Path, key: str) -> Path:
    return folder / f"distill-{key[:KEY_DIGITS]}.npz"


def write(folder: Path, key: str, state: State) -> None:
    """Keep a state. key: says which run it belongs to. Raises OutputError."""
    arrays = {f"weights/{name}": value for name, value in state.weights.items()}
    arrays |= {f"best/{name}": value for name, value in (state.best or {}).items()}
    arrays |= {
        f"moments/{place}/{name}": value for name, held in state.moments.items() for place, value in held.items()
    }
    content = io.BytesIO()
    numbers = json.dumps([state.epoch, state.score, state.stale, state.best_epoch, state.losses])
    np.savez(
        content,
        numbers=np.array(numbers),
        **{name: value.detach().contiguous().numpy() for name, value in arrays.items()},
    )
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with Pending(_path(folder, key)) as file:
            file.write(content.getvalue())
            file.commit()


def read(folder: Path, key: str) -> State | None:
    """The state that was kept of a run; None if there is none. Raises UsageError for a file that cannot be read."""
    path = _path(folder, key)
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            numbers = json.loads(str(file["numbers"]))
            arrays = {name: torch.from_numpy(file[name]) for name in file.files if name != "numbers"}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise UsageError(f"{path} is no checkpoint that can be read; remove it to train anew: {error}") from error
    epoch, score, stale, best_epoch, losses = numbers
    weights, best = (_part(arrays, part) for part in ("weights", "best"))
    moments: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in _part(arrays, "moments").items():
        place, _, weight = name.partition("/")
        moments.setdefault(weight, {})[place] = value
    return State(epoch, weights, moments, best or None, score, stale, best_epoch, losses)


def _part(arrays: Weights, part: str) -> Weights:
    return {name.removeprefix(f"{part}/"): value for name, value in arrays.items() if name.startswith(f"{part}/")}
