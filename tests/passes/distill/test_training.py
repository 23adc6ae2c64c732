"""Training brings a student to its teacher, in the same way every time, and from wherever it was interrupted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="distill needs torch")

from graphopt.errors import UsageError
from graphopt.ir.types import Constant
from passes.distill import checkpoint
from passes.distill.network.network import Network
from passes.distill.samples import Samples
from passes.distill.settings import Settings
from passes.distill.teacher import Teacher
from passes.distill.training import DivergedError, Job, State, begin, rate, train
from tests.passes.distill.support import drawn, network

SETTINGS = Settings(epochs=6, batch=16, rate=0.02, precision="float32")


def job(settings: Settings = SETTINGS, data=None, **more) -> Job:
    teacher = Teacher(network(8, seed=2), (), 1)
    return Job(Network(network()), teacher, Samples(data or drawn()), settings, **more)


def losses(settings: Settings = SETTINGS, **more) -> list[float]:
    made = job(settings, **more)
    state = begin(made.student)
    train(made, state)
    return [loss for loss, _ in state.losses]


def same(one: dict, other: dict) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "sgd", "rate": 0.05},
        {"loss": "mse"},
        {"temperature": 1.0},
        {"augment": ("flip", "crop", "mixup")},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_the_student_comes_closer_to_its_teacher(changes):
    found = losses(replace(SETTINGS, epochs=12, **changes))
    assert found[-1] < 0.6 * found[0]


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    settings = replace(SETTINGS, augment=("crop", "mixup"))
    first, again, other = (
        train(made, begin(made.student)) for made in (job(settings), job(settings), job(replace(settings, seed=1)))
    )
    assert same(first, again)
    assert not same(first, other)


def test_an_interrupted_run_comes_to_the_same_end(tmp_path):
    class InterruptedRunError(Exception):
        pass

    def keep(state: State) -> None:
        checkpoint.write(tmp_path, "key", state)
        if state.epoch == 3:
            raise InterruptedRunError

    whole = job(judge=lambda weights: float(weights["b3"].sum()))
    expected_state = begin(whole.student)
    expected = train(whole, expected_state)
    with pytest.raises(InterruptedRunError):
        train(replace(whole, keep=keep), begin(whole.student))
    state = checkpoint.read(tmp_path, "key")
    assert state is not None
    assert state.epoch == 3
    assert same(train(whole, state), expected)
    assert [tuple(loss) for loss in state.losses] == expected_state.losses


def test_a_checkpoint_of_another_run_is_not_taken(tmp_path):
    checkpoint.write(tmp_path, "key", begin(Network(network())))
    assert checkpoint.read(tmp_path, "other") is None


def test_a_checkpoint_that_is_broken_is_named(tmp_path):
    checkpoint.write(tmp_path, "key", begin(Network(network())))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UsageError, match="remove it"):
        checkpoint.read(tmp_path, "key")


def test_training_ends_when_the_metric_stands_still_and_the_best_weights_are_kept():
    scores = iter([0.5, 0.2, 0.4, 0.3, 0.1])
    seen = []

    def judge(weights):
        seen.append(weights)
        return next(scores)

    made = job(replace(SETTINGS, patience=2), judge=judge)
    state = begin(made.student)
    best = train(made, state)
    assert state.epoch == 3
    assert state.best_epoch == 1
    assert same(best, seen[1])


def test_without_patience_the_metric_is_asked_before_and_after():
    asked = []
    made = job(judge=lambda weights: asked.append(weights) or -float(len(asked)))
    train(made, begin(made.student))
    assert len(asked) == 2


def test_the_start_is_kept_if_nothing_is_better():
    made = job(judge=lambda weights: float(not same(weights, made.student.weights)))
    state = begin(made.student)
    assert same(train(made, state), made.student.weights)
    assert state.best_epoch == 0


def test_a_loss_that_is_no_number_ends_the_run():
    with pytest.raises(DivergedError, match="smaller rate"):
        losses(replace(SETTINGS, rate=1e30, optimizer="sgd"))


def test_labels_count_if_they_are_asked_for():
    data = drawn(labels=True)
    assert losses(replace(SETTINGS, labels=1.0), data=data)[0] > losses(data=data)[0]


def test_inner_tensors_count_if_they_are_asked_for():
    teacher, student = network(4, seed=2), network()
    inner = {tensor.name: tensor for node in teacher.graph.nodes for tensor in node.outputs}
    net = Network(student)
    own = net.tensors["s"]

    def distance(features: float) -> float:
        made = Job(
            net, Teacher(network(4, seed=2), [], 1) if not features else Teacher(teacher, [inner["s"]], 1),
            Samples(drawn()), replace(SETTINGS, epochs=12, features=features), features=[own] if features else [],
        )  # fmt: skip
        trained = train(made, begin(net))
        x = torch.from_numpy(drawn().x)
        goal = Network(network(4, seed=2))
        wanted = goal({"x": x}, [goal.tensors["s"]])["s"]
        return float((net({"x": x}, [own], trained)["s"] - wanted).square().mean())

    assert distance(5.0) < 0.7 * distance(0.0)


def test_a_network_for_one_sample_is_trained_in_steps_of_many():
    text = network()
    text.graph.inputs[0].shape = (1, 1, 6, 6)
    made = Job(Network(text), Teacher(network(8, seed=2), (), 1), Samples(drawn()), SETTINGS, size=1)
    one = train(made, begin(made.student))
    many = job()
    other = train(many, begin(many.student))
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one)


def test_the_rate_rises_and_falls():
    rates = [rate(SETTINGS, done) for done in (0.0, 0.05, 0.5, 1.0)]
    assert rates[0] < rates[1] == SETTINGS.rate > rates[2] > rates[3]
    assert math.isclose(rates[3], 0.0, abs_tol=1e-12)


def test_trained_weights_go_back_with_their_shapes_and_dtypes():
    net = Network(network())
    arrays = net.arrays({name: weight + 1 for name, weight in net.weights.items()})
    assert {constant.name for constant in arrays} == {"w1", "b1", "w2", "b2", "w3", "b3"}
    for constant, values in arrays.items():
        assert isinstance(constant, Constant)
        np.testing.assert_array_equal(values, constant.values + 1)
        assert values.dtype == constant.dtype
