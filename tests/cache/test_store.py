"""Entries appear whole or not at all, broken ones are found, the oldest go, and processes do not disturb each other."""

from __future__ import annotations

import errno
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphopt.cache import store as stores
from graphopt.cache.store import Store

KEY = "ab" * 32


def make(content=b"weights"):
    return lambda folder: (folder / "model.onnx").write_bytes(content)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache", 10_000)


def test_what_was_written_is_read(store):
    assert store.read(KEY) is None
    store.write(KEY, make())
    assert (store.read(KEY) / "model.onnx").read_bytes() == b"weights"
    assert (store.root / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    assert list((store.root / "work").iterdir()) == []


@pytest.mark.parametrize("harm", ["flip", "cut", "lose", "manifest", "no manifest", "list"])
def test_a_broken_entry_is_as_none_and_is_removed(store, harm):
    store.write(KEY, make())
    folder = store.read(KEY)
    model, manifest = folder / "model.onnx", folder / "manifest.json"
    {
        "flip": lambda: model.write_bytes(b"weightz"),
        "cut": lambda: model.write_bytes(b""),
        "lose": model.unlink,
        "manifest": lambda: manifest.write_text("{"),
        "no manifest": manifest.unlink,
        "list": lambda: manifest.write_text("[1]"),
    }[harm]()
    assert store.read(KEY) is None
    assert not folder.exists()
    store.write(KEY, make())
    assert store.read(KEY) == folder


def test_the_entries_that_were_not_used_for_longest_go_first(tmp_path):
    store = Store(tmp_path, 3500)
    keys = [f"{i:02x}" * 32 for i in range(4)]
    for age, key in enumerate(keys[:3]):
        store.write(key, make(bytes(1000)))
        os.utime(store._place(key) / "manifest.json", (age, age))
    store.read(keys[0])  # used just now
    store.write(keys[3], make(bytes(1000)))
    assert [store.read(key) is not None for key in keys] == [True, False, True, True]


def test_an_entry_larger_than_the_limit_does_not_stay(tmp_path):
    store = Store(tmp_path, 500)
    store.write("aa" * 32, make(bytes(100)))
    store.write("bb" * 32, make(bytes(1000)))
    assert [store.read(key * 32) for key in ("aa", "bb")] == [None, None]


def test_nothing_is_left_of_what_could_not_be_made(store):
    def full(folder):
        (folder / "model.onnx").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        store.write(KEY, full)
    assert store.read(KEY) is None
    assert list((store.root / "work").iterdir()) == []


def test_of_two_that_write_the_same_the_first_stays(store):
    def late(folder):
        make(b"late")(folder)
        store.write(KEY, make(b"early"))

    store.write(KEY, late)
    assert (store.read(KEY) / "model.onnx").read_bytes() == b"early"
    assert list((store.root / "work").iterdir()) == []


def test_many_that_read_write_and_remove_at_once(tmp_path):
    store, keys = Store(tmp_path, 6000), [f"{i:02x}" * 32 for i in range(8)]

    def work(seed):
        for turn in range(30):
            key = keys[(seed * 7 + turn * 3) % len(keys)]
            if store.read(key) is None:
                store.write(key, make(key.encode() * 16))
        return seed

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(4))) == [0, 1, 2, 3]
    held = [folder for key in keys if (folder := store.read(key))]
    assert held
    assert all((folder / "model.onnx").read_bytes() == folder.name.encode() * 16 for folder in held)
    assert list((tmp_path / "work").iterdir()) == []


def test_an_entry_that_another_wrote_and_a_third_removed_meanwhile_is_nobodys_fault(store, monkeypatch):
    store.write(KEY, make())
    rename = Path.rename

    def late(self, target):
        try:
            return rename(self, target)
        except OSError:
            shutil.rmtree(target)
            raise

    monkeypatch.setattr(Path, "rename", late)
    store.write(KEY, make())
    assert store.read(KEY) is None
    store.write(KEY, make())
    assert store.read(KEY) is not None


def test_what_a_killed_process_left_is_removed_but_not_what_another_works_on(store, monkeypatch):
    store.write(KEY, make())
    left = store.root / "work" / "left"
    left.mkdir()
    (left / "model.onnx").write_bytes(b"half")
    young = store.root / "work" / "young"
    young.mkdir()
    old = time.time() - 2 * stores.ABANDONED_S
    os.utime(left, (old, old))
    with store._workplace() as busy:
        os.utime(busy, (old, old))
        store._prepare()
        assert busy.exists()
    assert not left.exists()
    assert young.exists()


def test_a_folder_that_may_only_be_read_still_gives_results(store, monkeypatch):
    store.write(KEY, make())

    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "utime", refused)
    assert store.read(KEY) is not None
