"""What is compared, and how."""

from __future__ import annotations

import pytest

from graphopt.errors import UsageError
from graphopt.ir.reader import load
from tests.support import proto

torch = pytest.importorskip("torch", reason="distill needs torch")

from passes.distill.losses import Losses, divergence, squared
from passes.distill.settings import Settings

ONE, OTHER = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 5)


def outputs(text: str) -> dict:
    return {tensor.name: tensor for tensor in load(proto(text)).graph.outputs}


PLAIN = outputs("g (float[N, 5] x) => (float[N, 5] y) { y = Relu (x) }")
PROBABLE = outputs("g (float[N, 5] x) => (float[N, 5] y) { y = Softmax (x) }")


def test_divergence_is_that_of_the_softened_distributions():
    soft = [torch.softmax(x / 2, -1) for x in (ONE, OTHER)]
    expected = 4 * (soft[1] * (soft[1] / soft[0]).log()).sum(-1).mean()
    torch.testing.assert_close(divergence(ONE, OTHER, 2.0), expected)
    torch.testing.assert_close(divergence(ONE, ONE + 3, 2.0), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_squared_errors_count_in_units_of_the_variance():
    torch.testing.assert_close(squared(ONE.mean().expand_as(ONE), ONE), torch.tensor(1.0))
    torch.testing.assert_close(squared(100 * ONE + 1, 100 * ONE), squared(ONE + 0.01, ONE))


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
def test_gradients_of_pictures_lie_in_memory_as_those_do_with_channels_last(layout):
    found = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    wanted = torch.randn(2, 3, 4, 5).contiguous(memory_format=layout)
    loss = squared(found, wanted)
    torch.testing.assert_close(loss, torch.nn.functional.mse_loss(found, wanted) / wanted.var(correction=0))
    (gradient,) = torch.autograd.grad(loss, found)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_outputs_of_samples_and_classes_are_distributions_others_numbers():
    loss = Losses(PLAIN, Settings())
    torch.testing.assert_close(loss({"y": ONE}, {"y": OTHER + 1}, None), divergence(ONE, OTHER, 4.0))
    picture = ONE.reshape(1, 1, 4, 5)
    torch.testing.assert_close(loss({"y": picture}, {"y": picture + 1}, None), squared(picture, picture + 1))
    chosen = Losses(PLAIN, Settings(loss="mse"))
    torch.testing.assert_close(chosen({"y": ONE}, {"y": ONE + 1}, None), squared(ONE, ONE + 1))


def test_probabilities_are_compared_as_what_they_are():
    soft = [torch.softmax(x, -1) for x in (ONE, OTHER)]
    found = Losses(PROBABLE, Settings())({"y": soft[0]}, {"y": soft[1]}, None)
    torch.testing.assert_close(found, divergence(ONE, OTHER, 4.0), atol=1e-4, rtol=1e-4)


def test_labels_and_inner_tensors_add_their_share():
    settings = Settings(labels=0.5, features=2.0)
    labels = torch.tensor([0, 1, 2, 3])
    found = Losses(PLAIN, settings)({"y": ONE, "h": ONE}, {"y": ONE, "h": ONE + 1}, labels)
    expected = 2 * squared(ONE, ONE + 1) + 0.5 * torch.nn.functional.cross_entropy(ONE, labels)
    torch.testing.assert_close(found, expected)


def test_labels_of_other_outputs_are_refused():
    picture = ONE.reshape(1, 1, 4, 5)
    with pytest.raises(UsageError, match="scores of classes"):
        Losses(PLAIN, Settings(labels=1.0))({"y": picture}, {"y": picture}, labels)


def test_integers_do_not_count():
    found = Losses({**PLAIN, "k": PLAIN["y"]}, Settings())({"y": ONE, "k": labels}, {"y": ONE, "k": labels}, None)
    torch.testing.assert_close(found, torch.tensor(0.0), atol=1e-6, rtol=0)


labels = torch.tensor([0, 1, 2, 3])
