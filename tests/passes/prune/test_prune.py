"""The pass as its user meets it: targets, samples, what it says where something is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphopt
from graphopt.analysis.cost import macs
from graphopt.analysis.shapes import Shapes
from graphopt.budget.limits import Budget
from graphopt.errors import UsageError
from graphopt.numerics.run import InProcess
from tests.support import proto

NET = """
g (float[n, 4, 8, 8] x) => (float[n, 6] y) {
    a = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
    r = Relu(a)
    c = Conv<pads = [1, 1, 1, 1]>(r, w2, b2)
    s = Add(c, x)
    t = Relu(s)
    p = GlobalAveragePool(t)
    f = Flatten(p)
    y = Gemm<transB = 1>(f, w3, b3)
}
"""
WEIGHTS = {"w1": (24, 4, 3, 3), "b1": (24,), "w2": (4, 24, 3, 3), "b2": (4,), "w3": (6, 4), "b3": (6,)}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth pictures, so that channels say much of the same."""
    rng = np.random.default_rng(0)
    coarse = rng.standard_normal((64, 4, 2, 2)).astype("f4")
    path = tmp_path_factory.mktemp("samples") / "samples.npz"
    np.savez(path, x=coarse.repeat(4, axis=2).repeat(4, axis=3), label=rng.integers(0, 6, 64))
    return path


def _prune(options: str = "", **settings: object) -> graphopt.Result:
    return graphopt.optimize(
        proto(NET, WEIGHTS), passes=f"prune{options}", **{"verify": "full", "runner": InProcess()} | settings
    )


def _error(result: graphopt.Result, samples: Path) -> float:
    """Mean square of the change of the output, in units of its variance."""
    feeds = {"x": np.load(samples)["x"]}
    models = (proto(NET, WEIGHTS), result.model.to_proto())
    before, after = (InProcess().run(model.SerializeToString(), feeds)[0] for model in models)
    return float(np.square(before - after).mean() / before.var())


def _macs(result: graphopt.Result) -> int:
    shapes = Shapes(result.model, {"n": 1})
    return sum(macs(node, shapes) for node in result.model.graph.nodes)


WHOLE = 2 * 24 * 4 * 9 * 64 + 24


@pytest.mark.parametrize("target", [0.75, 0.4])
def test_the_multiply_adds_are_what_was_asked(target: float) -> None:
    assert target - 1 / 24 <= _macs(_prune(f":macs={target}")) / WHOLE <= target


@pytest.mark.parametrize("target", ["params=0.6", "size=0.7"])
def test_weights_and_bytes_can_be_targets(target: str) -> None:
    name, share = target.split("=")
    before, after = proto(NET, WEIGHTS), _prune(f":{target}").model.to_proto()
    size = [
        m.ByteSize() if name == "size" else sum(np.prod(i.dims) for i in m.graph.initializer) for m in (before, after)
    ]
    assert float(share) - 0.1 <= size[1] / size[0] <= float(share) + 0.02


def test_samples_tell_what_can_go_and_win_back_what_it_cost(samples: Path) -> None:
    errors = [
        _error(_prune(f":macs=0.5{options}", calibration=samples), samples)
        for options in (":importance=l2:recover=none", ":importance=l2:recover=statistics", ":importance=l2", "")
    ]
    assert errors[0] > 3 * errors[2] > 3 * errors[3]
    assert errors[1] < errors[0]


def test_a_single_sample_fits_nothing_and_that_is_said(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    np.savez(path, x=np.load(samples)["x"][:1])
    noted = _prune(":macs=0.5", calibration=path).report
    assert "none can be held back" in str(noted)
    assert "none can be held back" not in str(_prune(":macs=0.5", calibration=samples).report)


def test_half_of_each_group_goes_if_nothing_is_said() -> None:
    (table,) = _prune().report.tables
    assert table.rows == (("w1", "channels", 24, 12, 0.5),)


@pytest.mark.parametrize(
    ("options", "told"), [(":macs=0.8", True), (":macs=0.8:round_to=1", False), (":ratio=0.34", False)]
)
def test_that_widths_are_odd_is_told_unless_they_were_asked_for(options: str, *, told: bool) -> None:
    assert ("1 of the 1 new widths are no multiple of 8" in str(_prune(options).report)) == told


def test_as_much_goes_as_the_metric_allows(samples: Path) -> None:
    result = _prune(calibration=samples, data=samples, metric="top1", budget=Budget(max_drop="5%"))
    score = result.report.evaluation.score("top1", 1)
    assert score.difference.value >= -0.05
    assert _macs(result) < 0.5 * WHOLE


NORMALISED = """
g (float[n, 8] x) => (float[n, 4] y) {
    h = MatMul(x, w1)
    m = LayerNormalization(h, scale, shift)
    y = MatMul(m, w2)
}
"""
NORMALISED_WEIGHTS = {"w1": (8, 16), "scale": np.ones(16, "f4"), "shift": np.zeros(16, "f4"), "w2": (16, 4)}


def test_a_width_that_is_averaged_over_goes_where_it_is_asked_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "samples.npz"
    np.savez(path, x=rng.standard_normal((64, 8)).astype("f4"), label=rng.integers(0, 4, 64))
    given = {"calibration": path, "data": path, "metric": "top1", "budget": Budget(max_drop="30%")}
    model = proto(NORMALISED, NORMALISED_WEIGHTS)
    result = graphopt.optimize(model, passes="prune:kinds=width", runner=InProcess(), **given)
    (table,) = result.report.tables
    assert table.rows
    assert "lost in top1" in table.text


def test_a_run_can_be_repeated(samples: Path) -> None:
    one, other = (_prune(":macs=0.5", calibration=samples).model.to_proto() for _ in range(2))
    assert one.SerializeToString() == other.SerializeToString()


@pytest.mark.parametrize("method", ["l1", "random", "activation", "obs"])
def test_other_importances(method: str, samples: Path) -> None:
    assert _macs(_prune(f":macs=0.5:importance={method}", calibration=samples)) <= 0.5 * WHOLE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (":macs=0.001", "macs=0.001 cannot be reached: at least 0.04"),
        (":recover=squares", "needs samples"),
        (":importance=obs", "needs samples"),
        (":macs=0.5:params=0.5", "one target"),
        (":importance=bn", "importance=bn needs a BatchNormalization"),
        (":only=nothing*", "nothing\\* matches no group"),
        (":macs=1.5", "above 0, at most 1"),
        (":importance=best", "expected one of"),
        (":ratio=0.5:allocate=global", "same share of every group"),
    ],
)
def test_what_does_not_fit_is_said(options: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _prune(options)


def test_a_network_with_nothing_to_prune_is_refused() -> None:
    with pytest.raises(UsageError, match="prune"):
        graphopt.optimize(proto("g (float[n, 4] x) => (float[n, 4] y) { y = Relu(x) }"), passes="prune")
