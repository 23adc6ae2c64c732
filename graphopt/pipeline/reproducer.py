"""A folder in which somebody else can see a wrong rewrite again, with one command."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.errors import OutputError
from graphopt.ir.atomic import told
from graphopt.ir.edit import Rewrite
from graphopt.ir.types import Array
from graphopt.measure.environment import versions
from graphopt.numerics.contract import Contract
from graphopt.numerics.feeds import FeedPlan
from graphopt.numerics.run import drawn
from graphopt.pipeline.journal import Verdict

FACTS = "rule.json"
_OWN = re.compile(r"before\.onnx|after\.onnx|feeds-\d+\.npz|README\.md|rule\.json")
"""Files of a reproducer."""

README = """# A wrong rewrite by the rule `{rule}`

At {place} the rule `{rule}` promises `{contract}`, and it does not keep it:

> {detail}

`before.onnx` is the region as it was, `after.onnx` what the rule made of it; both have the same inputs and outputs.
`feeds-*.npz` are the inputs on which they were run. In this folder, the fault shows with

    graphopt compare before.onnx after.onnx --contract "{contract}"{feeds}
"""


def _plain(array: Array) -> Array:
    """The array as .npz files hold it without pickling Python objects."""
    return array.astype(np.str_) if array.dtype == np.object_ else array


def _write_feeds(path: Path, feeds: Mapping[str, Array]) -> None:
    """An .npz file of arrays of any names: `numpy.savez` takes some for parameters of its own."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in feeds.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, _plain(array), allow_pickle=False)


def write_reproducer(
    root: Path,
    rule: str,
    rewrite: Rewrite,
    before: bytes,
    after: bytes,
    plans: Sequence[FeedPlan | Mapping[str, Array]],
    numerics: Contract,
    verdict: Verdict,
) -> Path:
    """Write the folder `root/<rule>-<n>` and return it; it appears whole. Raises OSError if it cannot be written."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=root) as path:
        folder = Path(path) / "made"
        folder.mkdir()
        (folder / "before.onnx").write_bytes(before)
        (folder / "after.onnx").write_bytes(after)
        names = [f"feeds-{index}.npz" for index in range(len(plans))]
        for name, plan in zip(names, plans, strict=True):
            _write_feeds(folder / name, drawn(plan))
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
        (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        feeds = "".join(f" --feeds {name}" for name in names)
        text = README.format(rule=rule, place=place, contract=numerics, detail=verdict.detail, feeds=feeds)
        (folder / "README.md").write_text(text, encoding="utf-8")
        return _placed(folder, root, re.sub(r"\W+", "_", rule))


def _placed(folder: Path, root: Path, stem: str) -> Path:
    """Give a finished folder the first name that is free."""
    for number in itertools.count(1):
        try:
            return folder.rename(root / f"{stem}-{number}")
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
    raise AssertionError  # numbers do not end


def prepare(root: Path) -> None:
    """See to it that reproducers can be written into `root`, and remove those that an earlier compile left there.

    Only folders are removed that hold the files of a reproducer and nothing else. Raises OutputError.
    """
    with told(root):
        old = [path for path in root.iterdir() if _is_reproducer(path)] if root.is_dir() else []
        for path in old:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        if old and not any(root.iterdir()):
            root.rmdir()
    home = next(path for path in (root, *root.absolute().parents) if path.exists())
    if not home.is_dir():
        raise OutputError(f"reproducers cannot be written into {root}: {home} is not a folder")
    if not os.access(home, os.W_OK | os.X_OK):
        raise OutputError(f"reproducers cannot be written into {root}: no permission to write into {home}")


def _is_reproducer(path: Path) -> bool:
    """Whether a folder is one that `write_reproducer` has written, and nobody has added to."""
    if path.is_symlink() or not path.is_dir():
        return False
    names = {file.name for file in path.iterdir()}
    if FACTS not in names or not all(_OWN.fullmatch(name) for name in names):
        return False
    try:
        facts = json.loads((path / FACTS).read_text("utf-8"))
    except ValueError:
        return False
    return isinstance(facts, dict) and facts.keys() >= {"rule", "place", "contract", "versions"}
