"""What there is to cut in networks."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What atoms are in a network."""

    CHANNELS = "channels"
    HEADS = "heads"
    UNITS = "units"
    """Of a layer between others, such as the inner width of a feed-forward network."""
    HIDDEN = "hidden"
    """Of a recurrent layer."""
    WIDTH = "width"
    """Over which normalisations average, such as the embedding of a transformer."""
