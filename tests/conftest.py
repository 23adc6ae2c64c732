"""What holds for every test."""

from __future__ import annotations

import os
import tempfile

import pytest

_FOLDER = tempfile.TemporaryDirectory(prefix="graphopt-test-cache-")
os.environ["GRAPHOPT_CACHE"] = _FOLDER.name
"""No test, and no process that a test starts, sees or fills the cache of whoever runs it."""


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path_factory, monkeypatch):
    """Every test begins with an empty cache."""
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path_factory.mktemp("cache")))
