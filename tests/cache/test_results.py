"""`Cache().optimize` gives what `optimize` gives, at once the second time; trouble with the cache is never an error."""

from __future__ import annotations

import dataclasses
import errno
import shutil

import numpy as np
import onnx
import pytest

import graphopt
from graphopt import Budget, BudgetError, UnsafeModelError
from graphopt.cache import Cache, results
from graphopt.cache.store import Store
from graphopt.report.decode import from_json
from graphopt.report.record import Report
from tests.budget.conftest import DIGITS, PLUGIN
from tests.support import proto

TEXT = "agraph (float[N, 64] x) => (float[N, 64] y) { a = MatMul(x, w) b = Identity(a) y = Relu(b) }"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(proto(TEXT, {"w": (64, 64)}), path)
    return path


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 1_000_000)


@pytest.fixture
def compiled(monkeypatch):
    """The compiles that were made."""
    made = []

    def optimize(source, **options):
        made.append(source)
        return graphopt.optimize(source, **options)

    monkeypatch.setattr(results, "optimize", optimize)
    return made


def content(result):
    return result.model.to_proto().SerializeToString(deterministic=True)


@pytest.mark.parametrize("external", [False, True])
def test_the_second_time_it_comes_from_the_cache_and_is_the_same(cache, model, tmp_path, compiled, external):
    if external:
        onnx.save(onnx.load(model), model, save_as_external_data=True, location="model.weights")
    first, second = (cache.optimize(model, passes="clean") for _ in range(2))
    assert len(compiled) == 1
    assert (first.report.cached, second.report.cached) == (False, True)
    assert dataclasses.replace(second.report, cached=False) == first.report
    assert content(second) == content(first)
    for name, result in (("first", first), ("second", second)):
        (tmp_path / name).mkdir()
        result.model.save(tmp_path / name / "out.onnx")
    files = [sorted((path.name, path.read_bytes()) for path in (tmp_path / n).iterdir()) for n in ("first", "second")]
    assert files[0] == files[1]
    assert len(files[0]) == 1 + external
    assert "The result is from the cache" in str(second.report)


def test_a_copy_of_the_model_has_the_same_result_under_its_own_name(cache, model, compiled):
    cache.optimize(model, passes="clean")
    other = shutil.copy(model, model.with_name("other.onnx"))
    assert cache.optimize(other, passes="clean").report.model == str(other)
    assert len(compiled) == 1


def test_budgets_and_measurements_are_remembered_with_the_report(cache, tmp_path, compiled):
    held = np.load(DIGITS.with_name("digits.test.npz"))
    np.savez(tmp_path / "val.npz", image=held["image"][:50], label=held["label"][:50])
    options = {"passes": "small", "plugins": [PLUGIN], "verify": "off", "data": tmp_path / "val.npz", "metric": "top1"}
    first, second = (cache.optimize(DIGITS, budget=Budget(max_drop="1%"), **options) for _ in range(2))
    assert len(compiled) == 1
    assert second.report.budget == first.report.budget
    assert second.report.evaluation == first.report.evaluation
    assert second.report.budget.left_out


def test_a_missed_budget_is_missed_again(cache, model, compiled):
    for _ in range(2):
        with pytest.raises(BudgetError):
            cache.optimize(model, passes="clean", budget=Budget(max_size="2kB"))
    assert len(compiled) == 2


def test_what_has_no_key_is_compiled(cache, model, compiled):
    from passes.clean import CLEAN

    for source, passes in ((model, [CLEAN]), (onnx.load(model), "clean")):
        for _ in range(2):
            assert not cache.optimize(source, passes=passes).report.cached
    assert len(compiled) == 4
    assert not cache.folder.exists()


@pytest.mark.parametrize("file", ["model.onnx", "report.json", "manifest.json"])
def test_a_broken_entry_is_compiled_and_stored_again(cache, model, compiled, file):
    first = cache.optimize(model, passes="clean")
    (broken,) = cache.folder.rglob(file)
    broken.write_bytes(broken.read_bytes()[:-10])
    for cached in (False, True):
        again = cache.optimize(model, passes="clean")
        assert again.report.cached is cached
        assert content(again) == content(first)
    assert len(compiled) == 2


def test_a_report_of_another_layout_is_as_none(cache, model, compiled, monkeypatch):
    monkeypatch.setattr(Report, "to_json", lambda _report: '{"schema": 0}')
    cache.optimize(model, passes="clean")
    assert not cache.optimize(model, passes="clean").report.cached


def test_a_result_whose_reproducers_are_gone_is_compiled_again(cache, model, tmp_path, compiled):
    onnx.save(proto("agraph (float[N, 4] x) => (float[N, 4] y) { y = Sigmoid(x) }"), model)
    options = {"passes": "planted", "plugins": ["tests.cli.planted"], "reproducers": tmp_path / "faults"}
    assert cache.optimize(model, **options).report.rolled_back
    assert cache.optimize(model, **options).report.cached
    shutil.rmtree(tmp_path / "faults")
    again = cache.optimize(model, **options).report
    assert not again.cached
    assert (tmp_path / "faults" / "wrong_sigmoid-1" / "README.md").exists()


def test_a_model_that_changes_during_the_compile_is_not_stored(cache, model, monkeypatch):
    def optimize(source, **options):
        made = graphopt.optimize(source, **options)
        onnx.save(proto(TEXT, {"w": (64, 32)}), model)
        return made

    monkeypatch.setattr(results, "optimize", optimize)
    cache.optimize(model, passes="clean")
    assert not list(cache.folder.rglob("model.onnx"))


def test_trouble_with_the_cache_is_noted_and_the_result_is_there(cache, model, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    report = cache.optimize(model, passes="clean").report
    assert report.hits
    assert "the result was not put into the cache" in report.notes[-1]
    assert "No space left on device" in report.notes[-1]


def test_a_cache_in_a_place_that_cannot_be(model, tmp_path):
    (tmp_path / "file").write_text("")
    report = Cache(tmp_path / "file" / "cache").optimize(model, passes="clean").report
    assert "Not a directory" in report.notes[-1]


def test_results_of_more_than_half_the_limit_are_not_kept(model, tmp_path, compiled):
    small = Cache(tmp_path / "cache", 20_000)
    for _ in range(2):
        assert not small.optimize(model, passes="clean").report.cached
    assert not small.folder.exists()


def test_weights_outside_the_folder_are_refused_though_the_result_is_known(cache, model, tmp_path):
    onnx.save(onnx.load(model), model, save_as_external_data=True, location="model.weights")
    cache.optimize(model, passes="clean")
    inside = tmp_path / "inside"
    inside.mkdir()
    moved = onnx.load(model, load_external_data=False)
    for entry in moved.graph.initializer[0].external_data:
        entry.value = "../model.weights" if entry.key == "location" else entry.value
    (inside / "model.onnx").write_bytes(moved.SerializeToString())
    with pytest.raises(UnsafeModelError):
        cache.optimize(inside / "model.onnx", passes="clean")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"GRAPHOPT_CACHE": "/x/y"}, "/x/y"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/home/me"}, "/x/graphopt"),
        ({"XDG_CACHE_HOME": "not/absolute", "HOME": "/home/me"}, "/home/me/.cache/graphopt"),
        ({"HOME": "/home/me"}, "/home/me/.cache/graphopt"),
    ],
)
def test_where_the_cache_lies(monkeypatch, variables, expected):
    for name in ("GRAPHOPT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(Cache().folder) == expected


def test_the_limit_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("GRAPHOPT_CACHE_SIZE", "500MB")
    assert Cache().limit == 500_000_000
    monkeypatch.setenv("GRAPHOPT_CACHE_SIZE", "much")
    with pytest.raises(graphopt.UsageError, match="GRAPHOPT_CACHE_SIZE: 'much' is no amount"):
        Cache()


def test_reports_are_read_as_they_were_written():
    report = graphopt.optimize(DIGITS).report
    assert from_json(Report, report.to_json()) == report


@pytest.mark.parametrize("text", ["[]", "{}", '{"nodes": 1}', "null", "{"])
def test_other_texts_are_no_reports(text):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        from_json(Report, text)
