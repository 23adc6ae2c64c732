"""The files that make has to watch, for each kind of value."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnx
import pytest

from graphopt.recipe import names
from graphopt.recipe.dependencies import dependencies
from tests.support import proto


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def imported(here, monkeypatch):
    """Imports modules of the current folder, and forgets them again."""
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setattr(sys, "modules", sys.modules.copy())

    def bring(sources):
        for name, source in sources.items():
            path = here / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(source, "utf-8")
        importlib.invalidate_caches()

    return bring


def read(kind, text):
    return [str(path) for path in kind.read(text)]


def test_a_file_and_a_folder(here):
    (here / "data" / "cats").mkdir(parents=True)
    (here / "data" / "b.npz").touch()
    (here / "data" / "cats" / "1.png").touch()
    assert read(names.READ, "data/b.npz") == ["data/b.npz"]
    assert read(names.READ, "data") == ["data", "data/b.npz", "data/cats", "data/cats/1.png"]
    assert read(names.READ, "nothing") == []
    assert read(names.WRITTEN, "data") == read(names.VALUE, "data") == []


def test_a_model_with_its_weights(here):
    weights = {"w": np.ones((64, 64), np.float32)}
    message = proto("agraph (float[n, 64] x) => (float[n, 64] y) { y = MatMul(x, w) }", weights)
    (here / "models").mkdir()
    onnx.save(message, "models/m.onnx", save_as_external_data=True, location="w.data", size_threshold=0)
    assert read(names.MODEL, "models/m.onnx") == ["models/m.onnx", "models/w.data"]


def test_a_pipeline_with_the_files_that_it_includes(here):
    (here / "more.toml").write_text('passes = "clean"', "utf-8")
    assert read(names.PIPELINE, "fold,@more.toml") == ["more.toml"]


def test_a_module_with_what_it_imports_from_its_folder(imported):
    imported({"rules.py": "import helpers, json, numpy", "helpers.py": "", "unrelated.py": ""})
    importlib.import_module("rules")
    assert read(names.MODULE, "rules") == ["helpers.py", "rules.py"]


def test_a_package_with_all_of_it_that_was_imported(imported):
    imported({"mine/__init__.py": "", "mine/rules.py": "import mine.inner", "mine/inner.py": "", "mine/never.py": ""})
    importlib.import_module("mine.rules")
    assert read(names.MODULE, "mine.rules") == ["mine/__init__.py", "mine/inner.py", "mine/rules.py"]


def test_an_installed_module_is_watched_without_its_neighbours():
    assert read(names.MODULE, "numpy") != []
    assert {"site-packages/numpy" in path for path in read(names.MODULE, "numpy")} == {True}
    assert read(names.MODULE, "no_such_module") == []


def test_data_and_metrics_may_be_functions(here, imported):
    imported({"samples.py": ""})
    importlib.import_module("samples")
    (here / "x.npz").touch()
    assert read(names.SOURCE, "samples:validation") == ["samples.py"]
    assert read(names.SOURCE, "x.npz") == ["x.npz"]
    assert read(names.FUNCTION, "samples:score") == ["samples.py"]
    assert read(names.FUNCTION, "top1") == []


@dataclass
class Options:
    data: Annotated[Path | None, names.READ]
    output: Annotated[Path, names.WRITTEN]
    report: Annotated[Path | None, names.WRITTEN] = None
    more: Annotated[list[Path] | None, names.READ] = None


def test_what_a_compile_writes_is_no_dependency(here):
    (here / "data" / "inner").mkdir(parents=True)
    for name in ("a.npz", "inner/b.npz", "out.onnx"):
        (here / "data" / name).touch()
    found = dependencies(Options(data=Path("data"), output=Path("data/out.onnx"), more=[Path("data/a.npz")]))
    assert list(map(str, found)) == ["data/a.npz", "data/inner", "data/inner/b.npz", "data/a.npz"]
