"""Fetch the public models that zoo.toml names into models/zoo/, and check them: `python models/fetch.py`.

Needs only Python's standard library. Every file is checked against its size and sha256 before it appears in
the folder; one that is there already and right is left alone. Exits with 0 if every model asked for is there,
with 1 if one is not, with 2 if a name is unknown.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHUNK = 1 << 20
TIMEOUT = 20


class FetchError(Exception):
    """A model could not be had; the message says why."""


@dataclass(frozen=True)
class Entry:
    """One model of zoo.toml; `urls` all name the same file, of `size` bytes."""

    name: str
    task: str
    licence: str
    size: int
    sha256: str
    urls: list[str]

    def check(self, path: Path) -> None:
        """Raise FetchError unless the file at `path` has this entry's size and sha256."""
        size = path.stat().st_size
        if size != self.size:
            raise FetchError(f"{size} bytes instead of {self.size}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise FetchError(f"sha256 is {found} instead of {self.sha256}")


def read_zoo(path: Path) -> list[Entry]:
    """Read a zoo file: an array of tables `model`, each with the fields of Entry."""
    return [Entry(**table) for table in tomllib.loads(path.read_text("utf-8"))["model"]]


def show_progress(text: str) -> None:
    """Draw `text` over what was drawn before, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def download(url: str, entry: Entry, path: Path) -> None:
    """Write `url` to `path`, giving up as soon as it proves to be larger than `entry`."""
    request = urllib.request.Request(url, headers={"User-Agent": "graphopt"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as file:
        done = 0
        while (chunk := response.read(CHUNK)) and done <= entry.size:
            done += file.write(chunk)
            show_progress(f"{entry.name} {done / entry.size:.0%}")


def reason(error: Exception) -> str:
    """Return what went wrong in few words."""
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        error = error.reason if isinstance(error.reason, Exception) else error
    return str(error) or type(error).__name__


def fetch(entry: Entry, folder: Path) -> str:
    """Put the model into `folder`, whole or not at all, and return what was done.

    Raises FetchError with one reason for each address if none of them serves the right file.
    """
    path = folder / f"{entry.name}.onnx"
    if path.exists():
        try:
            entry.check(path)
        except FetchError as error:
            print(f"{entry.name}: the file that is there is not right ({error}), fetching it again")
        else:
            return "already there"
    reasons = []
    handle, name = tempfile.mkstemp(prefix=f".{entry.name}.", dir=folder)
    os.close(handle)
    partial = Path(name)
    try:
        for url in entry.urls:
            try:
                download(url, entry, partial)
                entry.check(partial)
            except (OSError, http.client.HTTPException, FetchError) as error:
                reasons.append(f"{reason(error)} ({url})")
            else:
                partial.chmod(0o644)
                partial.replace(path)
                return f"fetched, {entry.size / 1e6:.1f} MB"
            finally:
                show_progress("")
    finally:
        partial.unlink(missing_ok=True)
    raise FetchError("; ".join(reasons))


def fetch_all(entries: list[Entry], folder: Path) -> int:
    """Fetch each entry, print one line for each, and return how many could not be had."""
    missing = 0
    for entry in entries:
        try:
            print(f"{entry.name}: {fetch(entry, folder)}", flush=True)
        except FetchError as error:
            missing += 1
            print(f"{entry.name}: not fetched: {error}", flush=True)
    return missing


def main(argv: list[str] | None = None, zoo: Path = HERE / "zoo.toml", folder: Path = HERE / "zoo") -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="fetch.py", description="Fetch the public models of zoo.toml.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the models to fetch (default: all)")
    parser.add_argument("--list", action="store_true", help="list the models and fetch nothing")
    arguments = parser.parse_args(argv)
    entries = {entry.name: entry for entry in read_zoo(zoo)}
    if unknown := [name for name in arguments.names if name not in entries]:
        parser.error(f"no such model: {', '.join(unknown)} (--list shows them)")
    chosen = [entries[name] for name in arguments.names] or list(entries.values())
    if arguments.list:
        for entry in chosen:
            print(f"{entry.name:18}{entry.size / 1e6:8.1f} MB  {entry.licence:13} {entry.task}")
        return 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = fetch_all(chosen, folder)
    except OSError as error:
        print(f"cannot write to {folder}: {error}", file=sys.stderr)
        return 1
    if missing:
        print(f"{missing} of {len(chosen)} models could not be fetched", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
