"""How far a student is from its teacher.

Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", 2015.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from graphopt.errors import UsageError
from graphopt.ir.types import Tensor
from passes.distill.settings import Settings

TINY = 1e-8
SCORES = 2
"""Dimensions of scores: samples and classes."""
PICTURES = 4
"""Axes of activations that are laid out with the channels last."""


def divergence(found: torch.Tensor, wanted: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of scores along the last axis, both divided by the temperature; times its square, so
    that gradients keep their size. A number: the mean over everything else."""
    there = functional.log_softmax(wanted.float() / temperature, -1).flatten(0, -2)
    here = functional.log_softmax(found.float() / temperature, -1).flatten(0, -2)
    return functional.kl_div(here, there, reduction="batchmean", log_target=True) * temperature**2


def squared(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The mean squared error, as a share of the variance of what is wanted.

    Channels of pictures are compared as the last axis, as which they lie in memory: in another order, the gradients
    that PyTorch gives back take several times as long to add.
    """
    found, wanted = (x.float().movedim(1, -1) if x.ndim == PICTURES else x.float() for x in (found, wanted))
    return functional.mse_loss(found, wanted) / (wanted.var(correction=0) + TINY)


class Losses:
    """The loss of a student, by the kind of each output.

    Scores of classes are outputs (samples, classes) of floats; they are compared as distributions, other floats by
    their squared error. An output that a Softmax gives is one already. Integers count for nothing.
    """

    def __init__(self, outputs: Mapping[str, Tensor], settings: Settings) -> None:
        self.settings = settings
        self.outputs = tuple(outputs)
        self._probable = {
            name for name, tensor in outputs.items() if tensor.producer and tensor.producer.op == "Softmax"
        }

    def __call__(
        self, found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], labels: torch.Tensor | None
    ) -> torch.Tensor:
        """A number to be made small. labels: (samples,) integers, where they count."""
        parts = []
        for name, goal in wanted.items():
            if not goal.is_floating_point():
                continue
            here = found[name]
            if name not in self.outputs:
                parts.append(self.settings.features * squared(here, goal))
            elif self._scored(goal):
                parts.append(divergence(self._scores(name, here), self._scores(name, goal), self.settings.temperature))
            else:
                parts.append(squared(here, goal))
        if labels is not None:
            name = self.outputs[0]
            if found[name].ndim != SCORES:
                shape = list(found[name].shape)
                raise UsageError(f"distill: labels count for scores of classes, and the output {name} is {shape}")
            parts.append(
                self.settings.labels * functional.cross_entropy(self._scores(name, found[name]).float(), labels)
            )
        return torch.stack(parts).sum()

    def _scored(self, goal: torch.Tensor) -> bool:
        if self.settings.loss != "auto":
            return self.settings.loss == "kl"
        return bool(goal.ndim == SCORES and goal.shape[-1] > 1)

    def _scores(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x.float() + TINY) if name in self._probable else x
