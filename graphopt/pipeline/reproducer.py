"""A folder in which somebody else can see a wrong rewrite again, with one command."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Array
from graphopt.numerics.contract import Contract
from graphopt.numerics.feeds import FeedPlan
from graphopt.pipeline.journal import Verdict

PACKAGES = ("graphopt", "onnx", "onnxruntime", "onnx-graphsurgeon", "numpy")

README = """# A wrong rewrite by the rule `{rule}`

At {place} the rule `{rule}` promises `{contract}`, and it does not keep it:

> {detail}

`before.onnx` is the region as it was, `after.onnx` what the rule made of it; both have the same inputs and outputs.
`feeds-*.npz` are the inputs on which they were run. In this folder, the fault shows with

    graphopt compare before.onnx after.onnx --contract "{contract}"{feeds}
"""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide about numbers."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _plain(array: Array) -> Array:
    """The array as .npz files hold it without pickling Python objects."""
    return array.astype(np.str_) if array.dtype == np.object_ else array


def write_reproducer(
    root: Path,
    rule: str,
    rewrite: Rewrite,
    before: bytes,
    after: bytes,
    plans: Sequence[FeedPlan],
    numerics: Contract,
    verdict: Verdict,
) -> Path:
    """Write the folder `root/<rule>-<n>` and return it. Raises OSError if it cannot be written."""
    stem = re.sub(r"\W+", "_", rule)
    number = 1
    while (folder := root / f"{stem}-{number}").exists():
        number += 1
    folder.mkdir(parents=True)
    (folder / "before.onnx").write_bytes(before)
    (folder / "after.onnx").write_bytes(after)
    names = [f"feeds-{index}.npz" for index in range(len(plans))]
    for name, plan in zip(names, plans, strict=True):
        np.savez(folder / name, **{key: _plain(array) for key, array in plan.draw().items()})  # type: ignore[arg-type]
    place = f"{rewrite.root.op} {rewrite.root.name or rewrite.root.outputs[0].name}"
    facts: dict[str, Any] = {
        "rule": rule,
        "place": place,
        "nodes": [node.name for node in rewrite.before],
        "contract": str(numerics),
        "error": verdict.error,
        "detail": verdict.detail,
        "versions": versions(),
    }
    (folder / "rule.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    feeds = "".join(f" --feeds {name}" for name in names)
    text = README.format(rule=rule, place=place, contract=numerics, detail=verdict.detail, feeds=feeds)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return folder
