"""Train digits.onnx, a small convolutional network: `python -m models.train_digits`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.common import HERE, make_reproducible, train


def conv_norm(inputs: int, outputs: int, size: int, groups: int = 1) -> nn.Sequential:
    """Build a convolution that keeps height and width, then BatchNormalization."""
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """relu(x + f(x)), f being two convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_norm(width, width, 3), nn.ReLU(), conv_norm(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, width, h, w) to the same shape."""
        return torch.relu(x + self.body(x))


def digits(width: int = 24) -> nn.Sequential:
    """Build the network: pictures (n, 1, 8, 8) to the logits (n, 10) of the digits."""
    return nn.Sequential(
        conv_norm(1, width, 3),
        nn.ReLU(),
        Residual(width),
        nn.MaxPool2d(2),
        conv_norm(width, width, 3, groups=width),
        nn.ReLU6(),
        conv_norm(width, 2 * width, 1),
        nn.ReLU(),
        Residual(2 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 2 * width),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(2 * width, 10),
    )


def main() -> None:
    """Train and export; training=PRESERVE keeps the exporter from folding BatchNormalization into Conv."""
    make_reproducible()
    model = digits()
    sample = train(model, epochs=60)
    torch.onnx.export(
        model,
        (sample,),
        HERE / "digits.onnx",
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )


if __name__ == "__main__":
    main()
