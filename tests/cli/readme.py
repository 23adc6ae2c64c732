"""The README's blocks that are made, not written: what commands print, and files of the repository.

`python -m tests.cli.readme` makes them anew. A block of ```console begins with `$ command`, run where the README's
files are; a block of ```python that begins with the path of a file holds that file.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
WIDTH = "100"
_CONSOLE = re.compile(r"```console\n\$ (graphopt (?:[^\n]*\\\n)*[^\n]*)\n.*?```", re.DOTALL)
_FILE = re.compile(r"```python\n# (\S+/\S+\.py)\n.*?```", re.DOTALL)
_OWN = re.compile(r"```(?:python|toml)\n# (\w+\.(?:py|toml))\n(.*?)```", re.DOTALL)


def folder(text: str, path: Path) -> Path:
    """A folder in which the README's commands can be run: its own files, the models, and a place for results."""
    (path / "models").symlink_to(ROOT / "models")
    (path / "build").mkdir()
    for name, content in _OWN.findall(text):
        (path / name).write_text(content, "utf-8")
    return path


def printed(command: str, where: Path) -> str:
    """What a command of the README prints. Raises CalledProcessError if it fails."""
    arguments = [sys.executable, "-m", "graphopt.cli", *shlex.split(command.replace("\\\n", ""))[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": WIDTH}
    done = subprocess.run(arguments, cwd=where, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def made(text: str, where: Path) -> str:
    """The README with every made block as it is now."""
    text = _FILE.sub(lambda found: f"```python\n# {found[1]}\n{(ROOT / found[1]).read_text('utf-8')}```", text)
    return _CONSOLE.sub(lambda found: f"```console\n$ {found[1]}\n{printed(found[1], where)}```", text)


def main() -> None:
    """Write the README anew."""
    text = README.read_text("utf-8")
    with tempfile.TemporaryDirectory() as path:
        README.write_text(made(text, folder(text, Path(path))), "utf-8")


if __name__ == "__main__":
    main()
