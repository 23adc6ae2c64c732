"""The random networks, on which the law of pruning is shown, have every operator of the table of ties but a few."""

from __future__ import annotations

from passes.prune.ties import TABLE
from tests.passes.prune import networks

ELSEWHERE = {
    **dict.fromkeys(("GlobalLpPool", "Swish", "Upsample"), "of another version, or without a kernel in this one"),
    "Bernoulli": "random",
    **dict.fromkeys(("LRN", "ReverseSequence"), "pin what they touch"),
    "GatherND": "in the corpus",
    **dict.fromkeys(
        ("FusedConv", "GroupQueryAttention", "RotaryEmbedding", "SimplifiedLayerNormalization"), "what fusion makes"
    ),
}
"""Operators that no random network has, and why; those of com.microsoft without their domain."""


def operators():
    """Those of all layers, each drawn a few times."""
    kinds = ((networks.PICTURES + networks.JUMPING, networks.pictures), (networks.TOKENS, networks.tokens))
    made = (make(seed, [layer]) for layers, make in kinds for layer in layers for seed in range(8))
    return {f"{node.domain}.{node.op_type}".lstrip(".") for model in made for node in model.graph.node}


def test_every_operator_of_the_table_is_in_a_random_network():
    missing = set(TABLE) - operators()
    assert {key.removeprefix(f"{networks.MICROSOFT}.") for key in missing} == set(ELSEWHERE)
