"""How much a network's answers depend on each of its weights: what Taylor importance is made of.

Source: P. Molchanov et al., "Importance estimation for neural network pruning", 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch.nn import functional

from graphopt.data.interface import interface
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.types import Array, Constant
from passes.distill.losses import SCORES
from passes.distill.network.network import Network
from passes.distill.samples import Samples

SAMPLES, BATCH = 256, 16


def gradients(model: Model, data: Data, *, samples: int = SAMPLES, seed: int = 0) -> Iterator[dict[Constant, Array]]:
    """For each batch of some data, the gradient of the first output's log-likelihood with respect to each weight.

    The output holds scores of classes along its last axis. The answers are the labels of the data or, without any,
    drawn from what the model itself gives. An array is float32, of the shape of its constant; weights that nothing
    depends on are left out. Quantised weights have the gradients of their real values.

    Raises UsageError for a model without scores of classes, and as `Network`.
    """
    network, drawn = Network(model), torch.Generator().manual_seed(seed)
    weights = {name: weight.requires_grad_() for name, weight in network.weights.items()}
    for feeds, labels in _batches(data, samples, interface(model).batch):
        scores = _scores(network({name: torch.from_numpy(array) for name, array in feeds.items()}, (), weights))
        answers = torch.multinomial(scores.exp(), 1, generator=drawn)[:, 0] if labels is None else labels
        likelihood = scores.gather(1, answers[:, None]).mean()
        found = torch.autograd.grad(likelihood, list(weights.values()), allow_unused=True)
        yield {
            network.constants[name]: gradient.numpy()
            for name, gradient in zip(weights, found, strict=True)
            if gradient is not None
        }


def _batches(data: Data, samples: int, size: int | None) -> Iterator[tuple[Mapping[str, Array], torch.Tensor | None]]:
    """Feeds and labels; a network that was exported for a number of samples gets no fewer."""
    for piece in Samples(data, samples):
        step = 1 if piece.whole else size or BATCH
        for start in range(0, len(piece), step):
            batch = piece.batch(range(start, min(start + step, len(piece))))
            if size is None or batch.rows == size:
                yield batch.feeds, None if batch.labels is None else torch.from_numpy(batch.labels).long().flatten()


def _scores(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The logarithms of the probabilities of classes, (answers, classes)."""
    name, found = next(iter(outputs.items()))
    if not found.is_floating_point() or found.ndim < SCORES or found.shape[-1] <= 1:
        raise UsageError(f"the output {name} has the shape {list(found.shape)}: it holds no scores of classes")
    return functional.log_softmax(found.float().flatten(0, -2), -1)
