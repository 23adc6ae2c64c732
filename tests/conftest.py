"""What holds for every test."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("graphopt", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("graphopt")
"""A test says what is right, never how fast the machine is."""

_FOLDER = tempfile.TemporaryDirectory(prefix="graphopt-test-cache-")
os.environ["GRAPHOPT_CACHE"] = _FOLDER.name
"""No test, and no process that a test starts, sees or fills the cache of whoever runs it."""


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path_factory, monkeypatch):
    """Every test begins with an empty cache."""
    monkeypatch.setenv("GRAPHOPT_CACHE", str(tmp_path_factory.mktemp("cache")))
