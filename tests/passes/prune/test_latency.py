"""Time as a target: layers are timed at their widths, the whole is measured, and the plan follows what was measured."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt.errors import UsageError
from graphopt.ir.reader import load
from graphopt.pipeline.context import Context
from passes.prune import latency
from passes.prune.grouping import Grouping
from passes.prune.recover.layers import layers
from passes.prune.recover.program import Program
from passes.prune.settings import Settings
from passes.prune.trial import Work
from tests.passes.prune.test_prune import NET, WEIGHTS
from tests.support import proto


def _work(model: object) -> Work:
    context = Context(load(model))
    return Work(context, Grouping(context.model, context.shapes), Program(context.model), Settings(), None)


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a layer takes as long as its products, and everything else no time."""

    def alone(_layer: object, _shape: object, read: int, made: int) -> float:
        return float(latency.COPIES * read * made)

    def measured(work: Work, cut: object) -> float:
        cost = latency.predicted(work)({})
        return latency.predicted(_work(cut))({}) / cost

    monkeypatch.setattr(latency, "_alone", alone)
    monkeypatch.setattr(latency, "_call", lambda: 0.0)
    monkeypatch.setattr(latency, "fastest", lambda _run: 0.0)
    monkeypatch.setattr(latency, "ratio", measured)


def _left(share: float, options: str = "") -> int:
    result = graphopt.optimize(proto(NET, WEIGHTS), passes=f"prune:latency={share}{options}", verify="off")
    return next(held.dims[0] for held in result.model.to_proto().graph.initializer if held.name == "w1")


@pytest.mark.parametrize(("share", "left"), [(0.73, 16), (0.41, 8)])
def test_widths_are_those_that_the_runtime_likes_and_as_fast_as_asked(steady: None, share: float, left: int) -> None:
    assert _left(share) == left


def test_other_widths_can_be_asked_for(steady: None) -> None:
    assert _left(0.5, ":round_to=1") in (10, 11)


def test_what_cannot_be_reached_is_said(steady: None) -> None:
    with pytest.raises(UsageError, match=r"latency=0\.1 cannot be reached: at least 0\.4"):
        _left(0.1)


CALLS = {
    "y = Conv<pads = [1, 1, 1, 1]>(x, w)": (6, 4, 3, 3),
    "y = Conv<group = 4>(x, w)": (4, 1, 3, 3),
    "y = ConvTranspose<strides = [2, 2]>(x, w)": (4, 6, 3, 3),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_layer_alone_runs_at_other_widths(call: str) -> None:
    (layer,) = layers(load(proto(f"g (float[1, 4, 8, 8] x) => (float y) {{ {call} }}", {"w": CALLS[call]})))
    assert latency._alone(layer, (1, 4, 8, 8), 2, 2) > 0


def test_a_model_beside_itself_takes_as_long_more_or_less() -> None:
    work = _work(proto(NET, WEIGHTS))
    assert np.isfinite(latency.ratio(work, proto(NET, WEIGHTS)))
