"""BERT, written in plain PyTorch and exported with free batch and sequence: `python -m tests.bench.bert OUT [options]`.

The network is that of Devlin et al., 2018, as libraries write it: a mask of zeros and ones that becomes what is added
to scores ("eager"), or one of truth values for scaled_dot_product_attention ("sdpa"). Needs torch and onnxscript.
"""

from __future__ import annotations

import argparse
import math
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

VOCABULARY, POSITIONS, TYPES = 1000, 512, 2


class Layer(nn.Module):
    """Self-attention and two linear layers, each followed by a residual sum and LayerNorm."""

    def __init__(self, hidden: int, heads: int, *, eager: bool) -> None:
        super().__init__()
        self.heads, self.eager = heads, eager
        self.query, self.key, self.value = (nn.Linear(hidden, hidden) for _ in range(3))
        self.out = nn.Linear(hidden, hidden)
        self.inner, self.outer = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
        self.first, self.second = nn.LayerNorm(hidden, eps=1e-12), nn.LayerNorm(hidden, eps=1e-12)

    def apart(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (self.apart(part(x)) for part in (self.query, self.key, self.value))
        if self.eager:
            scores = q @ k.transpose(-1, -2) / math.sqrt(q.size(-1)) + mask
            found = torch.softmax(scores, -1) @ v
        else:
            found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return found.transpose(1, 2).reshape(x.shape)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.first(self.out(self.attend(x, mask)) + x)
        return self.second(self.outer(nn.functional.gelu(self.inner(x))) + x)


class Bert(nn.Module):
    """Embeddings of words, positions and types, and layers."""

    def __init__(self, layers: int, hidden: int, heads: int, *, eager: bool) -> None:
        super().__init__()
        self.eager = eager
        self.words, self.types = nn.Embedding(VOCABULARY, hidden), nn.Embedding(TYPES, hidden)
        self.positions = nn.Embedding(POSITIONS, hidden)
        self.register_buffer("ids", torch.arange(POSITIONS)[None])
        self.norm = nn.LayerNorm(hidden, eps=1e-12)
        self.layers = nn.ModuleList([Layer(hidden, heads, eager=eager) for _ in range(layers)])

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = self.positions(self.ids[:, : input_ids.size(1)])
        x = self.norm(self.words(input_ids) + self.types(token_type_ids) + positions)
        mask = attention_mask[:, None, None, :]
        mask = (1.0 - mask.to(x.dtype)) * torch.finfo(x.dtype).min if self.eager else mask.to(torch.bool)
        for layer in self.layers:
            x = layer(x, mask)
        return x


NAMES = ("input_ids", "attention_mask", "token_type_ids")


def export(path: Path, *, layers: int, hidden: int, heads: int, eager: bool, dynamo: bool, opset: int) -> None:
    """Write the network with seeded weights."""
    torch.manual_seed(0)
    network = Bert(layers, hidden, heads, eager=eager).eval()
    ids, types = torch.randint(VOCABULARY, (2, 9)), torch.randint(TYPES, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.int64)
    mask[1, 5:] = 0
    free = {0: "batch", 1: "sequence"}
    options = {"input_names": list(NAMES), "output_names": ["hidden"], "opset_version": opset, "dynamo": dynamo}
    if dynamo:
        dims = {0: torch.export.Dim("batch", max=64), 1: torch.export.Dim("sequence", min=2, max=POSITIONS)}
        options |= {"dynamic_shapes": dict.fromkeys(NAMES, dims), "external_data": False}
    else:
        options["dynamic_axes"] = dict.fromkeys((*NAMES, "hidden"), free)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (ids, mask, types), str(path), **options)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bert", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--eager", action="store_true", help="attention in single operations")
    parser.add_argument("--dynamo", action="store_true", help="export with torch.export")
    parser.add_argument("--opset", type=int, default=18)
    options = vars(parser.parse_args())
    export(options.pop("out"), **options)


if __name__ == "__main__":
    main()
