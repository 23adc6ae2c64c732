"""How far ranges that were found on a few samples can be trusted."""

from __future__ import annotations

from math import ceil

from graphopt.ir.words import counted

SMALL_CHANCE = 0.01
"""With which a further sample may leave the range of a tensor without anybody being warned."""


def chance_beyond(samples: int) -> float:
    """The probability that a further sample of the same kind goes beyond the largest or the least value so far.

    Each of the samples and the further one are equally likely to hold the largest value, and the least.
    """
    return min(1.0, 2 / (samples + 1))


def enough(chance: float = SMALL_CHANCE) -> int:
    """The number of samples with which that probability is no more than `chance`."""
    return ceil(2 / chance) - 1


def warning(samples: int) -> str | None:
    """What to tell about ranges from so many samples; None where they are enough."""
    if samples >= enough():
        return None
    return (
        f"calibrated on {counted(samples, 'sample')}: a further one leaves the range of a tensor with a probability of "
        f"{chance_beyond(samples):.0%}; with {enough()} samples that is {SMALL_CHANCE:.0%}"
    )
