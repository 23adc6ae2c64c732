"""What a training run is told."""

from __future__ import annotations

from dataclasses import dataclass

AUGMENTATIONS = ("flip", "crop", "mixup")
OPTIMIZERS = ("adam", "sgd")
LOSSES = ("auto", "kl", "mse")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """How to train.

    epochs: passes over the samples. temperature: by which scores are divided before they are compared. batch: samples
    in a step. rate: the learning rate after the warm-up, from where it falls to 0 as a cosine. optimizer: one of
    `OPTIMIZERS`. labels, features: weights of the losses on labels and on inner tensors, beside 1 for the outputs.
    loss: one of `LOSSES`. augment: some of `AUGMENTATIONS`, in order. precision: one of `PRECISIONS`, of products.
    patience: checks without improvement after which training ends; 0 for never. samples: at most so many are used; 0
    for all. seed: of everything that is drawn.
    """

    epochs: int = 10
    temperature: float = 4.0
    batch: int = 64
    rate: float = 1e-3
    optimizer: str = "adam"
    labels: float = 0.0
    features: float = 0.0
    loss: str = "auto"
    augment: tuple[str, ...] = ()
    precision: str = "auto"
    patience: int = 0
    samples: int = 0
    seed: int = 0
