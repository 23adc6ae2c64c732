"""The corpus of real networks and exporter graphs beside the checkout, if it is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3] / "shared" / "corpus"
PEERS = ("onnxsim", "onnxslim", "onnxscript")
"""Those that write ai.onnx."""
ALL_PEERS = (*PEERS, "onnxscript_ort", "ort_ext")
"""And those that write operators of ONNX Runtime, too."""


def models() -> list[Path]:
    """Every model of the corpus; empty where there is no corpus."""
    return sorted([*ROOT.glob("nets/*.onnx"), *ROOT.glob("graphs/*.onnx")])


def inputs(path: Path) -> dict[str, Any]:
    """The valid inputs that stand beside a model."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        return dict(arrays)


def peers() -> dict[str, Mapping[str, int | None]]:
    """Top-level node counts that other optimisers reach, by file name."""
    found: dict[str, Mapping[str, int | None]] = json.loads((ROOT / "peers.json").read_text("utf-8"))
    return found


def best(counts: Mapping[str, int | None], tools: tuple[str, ...] = PEERS) -> int:
    """The fewest nodes that one of the tools leaves."""
    return min(count for tool in tools if (count := counts.get(tool)) is not None)


def network_best(name: str, table: Mapping[str, Mapping[str, int | None]]) -> int:
    """The fewest nodes that any tool leaves of any export of the network."""
    network = name.partition(".")[0]
    return min(best(counts, ALL_PEERS) for other, counts in table.items() if other.partition(".")[0] == network)
