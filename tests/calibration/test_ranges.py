"""Ranges hold what tensors are while a model runs on data, wherever in the model they are computed."""

import numpy as np
import pytest

from graphopt.calibration import observing
from graphopt.calibration.methods import METHODS, Steps, edges
from graphopt.calibration.observed import Observed, Sample
from graphopt.calibration.ranges import Range, ranges
from graphopt.data.opening import open_data
from graphopt.errors import UsageError
from graphopt.ir import walk
from graphopt.ir.reader import load
from tests.support import proto

SUM = "net (float[N, 4] x) => (float[N, 4] y) { a = Add (x, x)\n y = Neg (a) }"
BRANCHES = """net (float[N, 4] x) => (float[N, 4] y) {
    s = ReduceSum <keepdims = 0> (x)
    zero = Constant <value_float = 0.0> ()
    up = Greater (s, zero)
    y = If (up) <
        then_branch = one () => (float[N, 4] t) { t = Add (x, x) },
        else_branch = other () => (float[N, 4] e) { m = Neg (x)\n e = Neg (m) }
    >
}"""
TURNS = """net (float[N, 4] x) => (float[N, 4] y) {
    turns = Constant <value_int = 3> ()
    go = Constant <value = bool {1}> ()
    y = Loop (turns, go, x) <body = one (int64 i, bool c, float[N, 4] v) => (bool d, float[N, 4] w) {
        d = Identity (c)
        w = Add (v, v)
    }>
}"""


def opened(tmp_path, text, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    model = load(proto(text))
    return model, open_data(tmp_path / "data.npz", model)


def tensor(model, name):
    return next(one for one in walk.tensors(model.graph) if one.name == name)


def found(model, data, *names, method="minmax", **options):
    tensors = [tensor(model, name) for name in names]
    made = ranges(model, data, tensors, method, **options)
    return [made.ranges.get(one, made.skipped.get(one)) for one in tensors]


def test_all_batches_count_the_last_one_too(tmp_path):
    x = np.random.default_rng(0).standard_normal((70, 4)).astype(np.float32)
    model, data = opened(tmp_path, SUM, x=x)
    assert found(model, data, "a", "y") == [Range(2 * x.min(), 2 * x.max()), Range(-2 * x.max(), -2 * x.min())]


def test_no_more_samples_than_asked_for(tmp_path):
    x = np.arange(280, dtype=np.float32).reshape(70, 4)
    model, data = opened(tmp_path, SUM, x=x)
    assert found(model, data, "a", samples=10) == [Range(0.0, 78.0)]


@pytest.mark.parametrize(("sign", "taken", "other"), [(1, "t", "m"), (-1, "m", "t")])
def test_in_the_branch_that_is_taken(tmp_path, sign, taken, other):
    x = sign * np.arange(1, 9, dtype=np.float32).reshape(2, 4)
    model, data = opened(tmp_path, BRANCHES, x=x)
    factor = 2 if taken == "t" else -1
    low, high = sorted([factor * x.min(), factor * x.max()])
    assert found(model, data, taken, other) == [Range(low, high), "no sample reaches it"]


def test_in_a_body_that_runs_several_times(tmp_path):
    model, data = opened(tmp_path, TURNS, x=np.array([[1, 2, 3, -4]], np.float32))
    assert found(model, data, "w", "v") == [Range(-32.0, 24.0), Range(-16.0, 12.0)]


def test_empty_tensors_have_no_values(tmp_path):
    text = "net (float[N, 4] x) => (float[M, K] y) { w = NonZero (x)\n f = Cast <to = 1> (w)\n y = Neg (f) }"
    model, data = opened(tmp_path, text, x=np.zeros((3, 4), np.float32))
    assert found(model, data, "f", method="auto") == ["no sample reaches it"]
    model, data = opened(tmp_path, text, x=np.ones((3, 4), np.float32))
    assert found(model, data, "f") == [Range(0.0, 3.0)]


def test_half_precision(tmp_path):
    text = "net (float[N, 4] x) => (float16[N, 4] y) { h = Cast <to = 10> (x)\n y = Add (h, h) }"
    model, data = opened(tmp_path, text, x=np.array([[1, 2, 3, -4]], np.float32))
    assert found(model, data, "y") == [Range(-8.0, 6.0)]


def test_large_tensors_are_read_in_some_batches_small_ones_in_all(tmp_path, monkeypatch):
    monkeypatch.setattr(observing, "LOOKED", 2)
    monkeypatch.setattr(observing, "LARGE", 3)
    text = """net (float[N, 4] x) => (float[N] y) {
        a = Add (x, x)
        axes = Constant <value_ints = [1]> ()
        y = ReduceSum <keepdims = 0> (a, axes)
    }"""
    x = np.zeros((96, 4), np.float32)
    x[40:64] = 1  # in the second of three batches, and only there
    model, data = opened(tmp_path, text, x=x)
    assert found(model, data, "y", samples=96) == [Range(0.0, 8.0)]
    looked = observing.observe(model, data, [tensor(model, "a")], samples=96)[0][tensor(model, "a")]
    assert looked.high == 0.0
    assert looked.batches == 1


@pytest.mark.parametrize(("samples", "batches"), [(32, 1), (96, 2), (320, 2)])
def test_large_tensors_are_read_in_as_many_batches_as_it_takes(tmp_path, monkeypatch, samples, batches):
    monkeypatch.setattr(observing, "LOOKED", 40)
    monkeypatch.setattr(observing, "LARGE", 3)
    model, data = opened(tmp_path, SUM, x=np.zeros((samples, 4), np.float32))
    a = tensor(model, "a")
    assert observing.observe(model, data, [a], samples=None)[0][a].batches == batches


@pytest.mark.parametrize("unit", [1e-42, 1e-30, 1.0, 1e30])
def test_errors_are_exact_whatever_the_unit_of_the_values(unit):
    values, added = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    values, order = np.sort(values).astype(np.float64) * unit, [(-unit, 2 * unit), (-0.5 * unit, 0.5 * unit)]
    added = added * unit * 100.0
    off = Steps(16).quantised(values, order) - values
    plain = Sample(values, np.ones(1000))
    np.testing.assert_allclose(Steps(16).errors(plain, order), np.square(off).mean(1), rtol=1e-4)
    cut = np.maximum(values + off + added, 0.0) - np.maximum(values + added, 0.0)
    summed = Sample(values, np.ones(1000), values + added)
    np.testing.assert_allclose(Steps(16).errors(summed, order), np.square(cut).mean(1), rtol=1e-3)


def test_what_a_sum_cuts_off_does_not_need_steps(tmp_path):
    text = "net (float[N, 4] x, float[N, 4] z) => (float[N, 4] y) { a = Neg (x)\n s = Add (a, z)\n y = Relu (s) }"
    rng = np.random.default_rng(0)
    x, z = (rng.standard_normal((500, 4)).astype(np.float32) for _ in range(2))
    x[:, 0] = 9 + 0.1 * x[:, 0]  # a is far below what z can make up for
    model, data = opened(tmp_path, text, x=x, z=np.abs(z))
    a, other = tensor(model, "a"), tensor(model, "z")
    plain, cut = (ranges(model, data, [a, other], "mse", levels=16, sums=sums).ranges[a] for sums in ({}, {a: other}))
    assert plain.low < -8
    assert cut.low > -4.5
    kept = [
        np.square(np.maximum(rounded(-x, edges, 16) + np.abs(z), 0) - np.maximum(np.abs(z) - x, 0)).mean()
        for edges in (plain, cut)
    ]
    assert kept[1] < kept[0] / 2


def rounded(values, edges, levels):
    return Steps(levels).quantised(values.reshape(-1), [edges]).reshape(values.shape)


def seen(values, batches=4):
    observed = Observed(1 << 16, np.random.default_rng(0))
    for part in np.array_split(np.asarray(values, np.float32), batches):
        observed.add(np.concatenate([[part.min(), part.max(), len(part), part.sum()], part]))
    return observed


def test_what_is_held_is_bounded_and_drawn_evenly():
    observed = Observed(1000, np.random.default_rng(0))
    for part in range(100):
        values = np.full(500, part, np.float32)
        observed.add(np.concatenate([[part, part, 500, values.sum()], values]))
    sample = observed.sample
    assert len(sample.values) <= 1000 + 2 * 16
    assert abs(np.average(sample.values, weights=sample.weights) - 49.5) < 3


@pytest.mark.parametrize("method", METHODS)
def test_ranges_lie_within_what_was_seen(method):
    observed = seen(np.random.default_rng(0).standard_normal(5000))
    low, high = edges(observed, method, Steps())
    assert observed.low <= low < -1 < 1 < high <= observed.high


@pytest.mark.parametrize("method", METHODS)
def test_a_side_of_which_no_value_was_drawn(method):
    observed = Observed(100, np.random.default_rng(0))
    drawn = np.linspace(-1, -0.1, 50, dtype=np.float32)
    observed.add(np.concatenate([[-1, 0.5, 50, drawn.sum()], drawn]))
    low, high = edges(observed, method, Steps())
    assert -1 <= low < high <= 0.5


@pytest.mark.parametrize("method", ["percentile", "mse", "entropy", "auto"])
def test_rare_values_far_away_are_cut_off(method):
    values = np.random.default_rng(0).standard_normal(300_000)
    values[1234] = 40
    assert 3 < edges(seen(values), method, Steps())[1] < 36


def test_the_choice_is_as_good_as_the_best():
    for values in (np.random.default_rng(1).standard_normal(20_000), np.random.default_rng(1).standard_t(3, 20_000)):
        observed = seen(values)
        errors = {m: Steps().error(observed.sample, edges(observed, m, Steps())) for m in (*METHODS, "auto")}
        assert errors["auto"] <= min(errors.values())


@pytest.mark.parametrize("values", [np.zeros(100), np.full(100, 3.0), np.full(100, -2.0)])
@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_constants_have_a_range(values, method):
    low, high = edges(seen(values), method, Steps())
    assert low == high == values[0]


def test_an_unknown_method(tmp_path):
    model, data = opened(tmp_path, SUM, x=np.ones((2, 4), np.float32))
    with pytest.raises(UsageError, match="there are: auto, minmax"):
        found(model, data, "a", method="magic")


class Counting:
    """Data that notes how often it is read."""

    def __init__(self, data):
        self.data, self.reads = data, 0
        self.name, self.count, self.labelled = data.name, data.count, data.labelled

    def batches(self, size=None, limit=None):
        self.reads += 1
        return self.data.batches(size, limit)

    def fingerprint(self):
        return self.data.fingerprint()


def test_ranges_are_kept_for_the_same_content_alone(tmp_path):
    model, data = opened(tmp_path, SUM, x=np.ones((3, 4), np.float32))
    file, data = tmp_path / "ranges.json", Counting(data)
    first = found(model, data, "a", file=file)
    assert found(model, data, "a", file=file) == first
    assert data.reads == 1
    found(model, data, "a", method="mse", file=file)
    assert found(model, data, "a", file=file) == first
    assert data.reads == 2
    found(load(proto(SUM.replace("Add (x, x)", "Mul (x, x)"))), data, "a", method="mse", file=file)
    assert data.reads == 3
    np.savez(tmp_path / "data.npz", x=np.full((3, 4), 5, np.float32))
    assert found(model, open_data(tmp_path / "data.npz", model), "a", method="mse", file=file) == [Range(10.0, 10.0)]


def test_methods_share_what_was_observed(tmp_path):
    model, data = opened(tmp_path, SUM, x=np.ones((3, 4), np.float32))
    data, memo = Counting(data), {}
    for method in METHODS:
        found(model, data, "a", method=method, memo=memo)
    assert data.reads == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"content": 1}'])
def test_a_file_that_holds_something_else(tmp_path, text):
    model, data = opened(tmp_path, SUM, x=np.ones((3, 4), np.float32))
    (tmp_path / "ranges.json").write_text(text)
    with pytest.raises(UsageError, match=r"holds no ranges.*remove it"):
        found(model, data, "a", file=tmp_path / "ranges.json")
