"""What constants are to atoms; and that nothing is known of a call."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a constant is to the atoms along one of its axes."""

    PRODUCER = "producer"
    """A factor whose free axis they are: it makes them."""
    FOLLOWER = "follower"
    """A vector with one number for each: a bias, a scale."""
    CONSUMER = "consumer"
    """A factor that is summed over them: it reads them."""


class Untold(Exception):
    """The table says nothing of this call; the text says why."""
