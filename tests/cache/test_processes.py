"""Processes that build the same at once, that are killed, and whose disk is full: nothing corrupt, nothing lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from tests.bench.kill import MODEL, ROOT, built, content, killed, started

QUICK = ("--passes=clean", "--verify=off")
LARGEST = 100_000
"""Bytes of the largest file on what stands for a full disk; the model is larger."""


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return built(tmp_path_factory.mktemp("expected"), "expected.onnx", "--no-cache", *QUICK)


def optimize(folder, *options, **settings):
    """A build into out.onnx whose files are limited in size."""
    return subprocess.run(
        [sys.executable, "-m", "graphopt.cli", "optimize", str(MODEL), "-o", "out.onnx", *QUICK, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GRAPHOPT_CACHE": str(folder / "cache"), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )


def full():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_two_that_build_the_same_at_once(tmp_path, expected):
    pair = [started(tmp_path, "out.onnx", *QUICK) for _ in range(2)]
    assert [process.wait() for process in pair] == [0, 0]
    assert content(tmp_path / "out.onnx") == expected
    assert [name for name in names(tmp_path) if not name.startswith("cache/")] == ["out.onnx", "out.onnx.data"]
    assert len(list(tmp_path.glob("cache/entries/*/*"))) == 1
    assert list((tmp_path / "cache" / "work").iterdir()) == []


@pytest.mark.parametrize("after", [0.5, 1.2])
def test_the_build_after_a_killed_one_is_right(tmp_path, expected, after):
    killed(tmp_path, "out.onnx", after)
    out = tmp_path / "out.onnx"
    assert not out.exists() or content(out)
    assert built(tmp_path, "out.onnx", *QUICK) == expected


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_what_was_there(tmp_path, there):
    if there:
        assert optimize(tmp_path).returncode == 0
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    done = optimize(tmp_path, "--no-cache" if there else "--cache-size=1GB", preexec_fn=full)
    assert done.returncode == 2, done.stdout
    assert "out.onnx cannot be written: File too large" in done.stderr
    left = {name: (tmp_path / name).read_bytes() for name in names(tmp_path) if "CACHEDIR" not in name}
    assert left == {name: held for name, held in before.items() if "CACHEDIR" not in name}


def test_a_full_cache_costs_nothing_but_the_cache(tmp_path):
    assert optimize(tmp_path, "--no-cache").returncode == 0
    expected = (tmp_path / "out.onnx").read_bytes()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "entries").write_text("no folder")
    done = optimize(tmp_path)
    assert done.returncode == 0
    assert "the result was not put into the cache" in " ".join(done.stdout.split())
    assert (tmp_path / "out.onnx").read_bytes() == expected
