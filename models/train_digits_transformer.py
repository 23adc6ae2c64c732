"""Train digits_transformer.onnx, a small vision transformer: `python -m models.train_digits_transformer`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.common import HERE, make_reproducible, train


class Attention(nn.Module):
    """Self-attention with all heads' queries, keys and values from one projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, tokens, width) to the same shape."""
        q, k, v = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.merge(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A pre-norm transformer layer: x + attention, then x + MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, tokens, width) to the same shape."""
        x = x + self.attention(x)
        return x + self.mlp(x)


class DigitsTransformer(nn.Module):
    """Sixteen patches of 2 x 2 pixels, two layers, the mean over the patches, a linear classifier."""

    def __init__(self, width: int = 48, heads: int = 4, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Map pictures (n, 1, 8, 8) to the logits (n, 10) of the digits."""
        tokens = self.patches(image).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def main() -> None:
    """Train and export without the exporter's optimiser; drop its stack traces, which name local files."""
    make_reproducible()
    model = DigitsTransformer()
    sample = train(model, epochs=150)
    program = torch.onnx.export(
        model,
        (sample,),
        dynamo=True,
        optimize=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
    )
    for node in program.model.graph.all_nodes():
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    program.save(HERE / "digits_transformer.onnx")


if __name__ == "__main__":
    main()
