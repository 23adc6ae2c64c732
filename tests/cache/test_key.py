"""The key of a result changes with everything that the result depends on, and with nothing else."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import shutil
import sys

import numpy as np
import onnx
import pytest

import graphopt
from graphopt import Budget, Rule, UsageError
from graphopt.cache import key as keys
from graphopt.cache.results import SIGNATURE
from graphopt.numerics.process import started
from graphopt.target import TARGETS
from tests.budget.conftest import DIGITS
from tests.support import proto

MODEL = "agraph (float[N, 64] x) => (float[N, 64] y) { a = MatMul(x, w) y = Relu(a) }"


@pytest.fixture
def model(tmp_path):
    """A model with its weights in a file of their own."""
    path = tmp_path / "model.onnx"
    onnx.save(proto(MODEL, {"w": (64, 64)}), path, save_as_external_data=True, location="model.weights")
    return path


def key(source, **options):
    bound = SIGNATURE.bind(source, **options)
    bound.apply_defaults()
    return keys.key(bound.arguments, keys.files_of(source, allow_outside=bound.arguments["allow_outside"]))


def test_every_argument_of_optimize_has_its_part():
    assert keys.PARTS.keys() == inspect.signature(graphopt.optimize).parameters.keys()


def test_names_and_places_do_not_matter(model, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("model.onnx", "model.weights"):
        shutil.copy(model.with_name(name), other / name)
    (other / "model.onnx").rename(other / "renamed.onnx")
    assert key(model, reproducers="here", observers=[1]) == key(other / "renamed.onnx", reproducers="there")


def test_a_byte_of_the_weights_matters(model):
    before = key(model)
    weights = model.with_name("model.weights")
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    assert key(model) != before


@pytest.mark.parametrize(
    "options",
    [
        {"passes": "clean"},
        {"passes": "clean,fuse"},
        {"verify": "off"},
        {"seed": 1},
        {"limit": 3},
        {"inline": True},
        {"target": "portable"},
        {"budget": Budget(max_size="1MB")},
        {"budget": Budget(max_size="2MB")},
        {"budget": Budget(never_slower=True)},
        {"feeds": {"x": np.ones((1, 64), np.float32)}},
        {"feeds": {"x": np.zeros((1, 64), np.float32)}},
        {"plugins": ["tests.budget.planted"]},
    ],
    ids=str,
)
def test_options_matter(model, options):
    held = [key(model), key(model, **options)]
    assert held[0] != held[1]
    assert held == [key(model), key(model, **options)]  # and the key is a function of them


def test_the_default_pipeline_is_what_it_says(model):
    from graphopt.api import DEFAULT

    assert key(model) == key(model, passes=DEFAULT)
    assert key(model, passes="clean, fuse") == key(model, passes="clean,fuse")


def test_the_content_of_an_included_pipeline_matters(model, tmp_path):
    file = tmp_path / "more.toml"
    file.write_text('passes = "clean"')
    assert key(model, passes=f"@{file}") == key(model, passes="clean")
    file.write_text('passes = "clean,fuse"')
    assert key(model, passes=f"@{file}") == key(model, passes="clean,fuse")


def test_the_content_of_a_plugin_and_of_what_it_imports_matters(model, tmp_path, monkeypatch):
    (tmp_path / "rules_of_mine.py").write_text("import help_of_mine\nPASSES = ()\n")
    (tmp_path / "help_of_mine.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = [key(model, plugins=["rules_of_mine"])]
    for name, text in (("help_of_mine", "A = 2\n"), ("rules_of_mine", "import help_of_mine\nPASSES = ()  # new\n")):
        (tmp_path / f"{name}.py").write_text(text)
        importlib.reload(sys.modules[name])
        found.append(key(model, plugins=["rules_of_mine"]))
    assert len(set(found)) == 3


def test_the_content_of_the_data_and_the_metric_matter(tmp_path):
    data, found = tmp_path / "val.npz", []
    for seed in (0, 1):
        image = np.random.default_rng(seed).random((4, 1, 8, 8), np.float32)
        np.savez(data, image=image, label=np.arange(4))
        found += [key(DIGITS, data=data, metric=metric) for metric in ("top1", "top5")]
    assert len(set(found)) == 4


def test_versions_and_the_source_of_the_compiler_matter(model, monkeypatch):
    found = [key(model)]
    monkeypatch.setattr(keys, "versions", lambda: {"onnxruntime": "0.0"})
    found.append(key(model))
    monkeypatch.setattr(keys, "own_source", lambda: "other")
    found.append(key(model))
    assert len(set(found)) == 3


def test_every_byte_and_name_of_the_source_matters(tmp_path, monkeypatch):
    package = tmp_path / "compiler_of_ours"
    (package / "part").mkdir(parents=True)
    for name in ("__init__.py", "part/__init__.py", "part/module.py"):
        (package / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(keys, "PACKAGES", (package.name,))
    found = [keys.own_source.__wrapped__()]
    (package / "part" / "module.py").write_text("x = 2\n")
    found.append(keys.own_source.__wrapped__())
    (package / "part" / "module.py").rename(package / "module.py")
    found.append(keys.own_source.__wrapped__())
    assert len(set(found)) == 3
    (package / "notes.txt").write_text("no source")
    assert keys.own_source.__wrapped__() == found[-1]


def test_the_processor_matters_where_a_pass_asks_for_it_and_the_target_does_not_say(model, monkeypatch):
    from graphopt.measure import environment

    asked = [{"passes": "quant:scheme=int8"}, {"passes": "clean"}, {"passes": "quant", "target": "x64-avx2"}]
    before = [key(model, **one) for one in asked]
    monkeypatch.setattr(environment, "_processors", lambda: [{"flags": "another"}])
    assert [key(model, **one) == old for one, old in zip(asked, before, strict=True)] == [False, True, True]


def test_the_machine_matters_where_time_was_measured(model, monkeypatch):
    from graphopt.measure import environment

    slow, sizes = Budget(max_latency="5ms"), Budget(max_size="1MB")
    before = [key(model, budget=one) for one in (slow, sizes)]
    monkeypatch.setattr(environment, "_processors", lambda: [{"model name": "another"}])
    after = [key(model, budget=one) for one in (slow, sizes)]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_process_that_was_started_before_does_not_matter(model):
    with started() as process:
        assert key(model, runner=process) == key(model)


OWN = dataclasses.replace(TARGETS["cpu"], doc="As cpu, but mine.")


@pytest.mark.parametrize(
    "options",
    [{"passes": [Rule]}, {"runner": object()}, {"metric": lambda: 1}, {"target": OWN}],
    ids=lambda options: next(iter(options)),
)
def test_what_has_no_content_has_no_key(model, options):
    with pytest.raises(keys.Unkeyed):
        key(model, **options)


def test_what_does_not_exist_is_an_error(model):
    with pytest.raises(UsageError, match="plugin nothing_of_the_kind cannot be loaded"):
        key(model, plugins=["nothing_of_the_kind"])
