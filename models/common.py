"""What the training scripts share: the data, the training loop, accuracy and the seeds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

HERE = Path(__file__).parent
SEED = 0
HELD_OUT = 500


class Split(NamedTuple):
    """Pictures as float32 (n, 1, 8, 8) between 0 and 1, and their digits as int64 (n,)."""

    image: np.ndarray
    label: np.ndarray

    def save(self, path: Path) -> None:
        """Write both arrays to a compressed .npz, named as the models name their input."""
        np.savez_compressed(path, image=self.image, label=self.label)


def make_reproducible() -> None:
    """Fix every seed and PyTorch's choice of algorithms; one thread, so that sums keep their order."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(1)


def splits() -> tuple[Split, Split]:
    """Split scikit-learn's 1,797 digits into those to train on and 500 held out, each digit in proportion."""
    digits = load_digits()
    image = (digits.images[:, None] / 16).astype(np.float32)
    train, test, train_label, test_label = train_test_split(
        image, digits.target.astype(np.int64), test_size=HELD_OUT, stratify=digits.target, random_state=SEED
    )
    return Split(train, train_label), Split(test, test_label)


def shifted(image: Tensor) -> Tensor:
    """Move every picture (n, 1, 8, 8) by up to one pixel each way, filling with background."""
    padded = nn.functional.pad(image, (1, 1, 1, 1))
    down, right = torch.randint(3, (2, len(image), 1, 1))
    rows = (torch.arange(8)[None, :, None] + down).expand(-1, 8, 8)
    columns = (torch.arange(8)[None, None, :] + right).expand(-1, 8, 8)
    return padded[torch.arange(len(image))[:, None, None], 0, rows, columns][:, None]


def fit(model: nn.Module, data: Split, *, epochs: int, batch: int = 64, rate: float = 3e-3) -> None:
    """Train `model` in place on shifted pictures with AdamW, one cycle of the rate; leave it in eval mode."""
    image, label = torch.from_numpy(data.image), torch.from_numpy(data.label)
    steps = epochs * (len(image) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(image)).split(batch)[: len(image) // batch]:
            loss = nn.functional.cross_entropy(model(shifted(image[chosen])), label[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, data: Split) -> float:
    """Return the share of `data` that `model` names rightly."""
    return float((model(torch.from_numpy(data.image)).argmax(1).numpy() == data.label).mean())


def train(model: nn.Module, *, epochs: int) -> Tensor:
    """Train `model`, write the data beside this file and print the held-out accuracy.

    Returns two pictures, float32 (2, 1, 8, 8), to export the model with.
    """
    data, held_out = splits()
    fit(model, data, epochs=epochs)
    data.save(HERE / "digits.train.npz")
    held_out.save(HERE / "digits.test.npz")
    print(f"held-out accuracy {accuracy(model, held_out):.2%}")
    return torch.from_numpy(held_out.image[:2])
