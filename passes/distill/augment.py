"""Changes to pictures that keep what they show: more samples out of few, for teacher and student alike.

Source of training on mixed views: L. Beyer et al., "Knowledge distillation: a good teacher is patient and consistent",
2022; of mixing: H. Zhang et al., "mixup: beyond empirical risk minimization", 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from graphopt.errors import UsageError

CHANNELS = (1, 3, 4)
SHIFT = 8
"""A picture is moved by at most one part in so many of its height and width."""
RANK = 4
HALF = 0.5


def _flip(x: Tensor, drawn: Generator) -> Tensor:
    """Half of the pictures, left to right."""
    turned = torch.rand(len(x), generator=drawn) < HALF
    return torch.where(turned[:, None, None, None], x.flip(-1), x)


def _crop(x: Tensor, drawn: Generator) -> Tensor:
    """Each picture moved by a few pixels; what comes in at the border is a reflection of what lies inside it."""
    height, width = x.shape[2:]
    up, left = max(1, height // SHIFT), max(1, width // SHIFT)
    wide = functional.pad(x, (left, left, up, up), mode="reflect")
    windows = wide.unfold(2, height, 1).unfold(3, width, 1)
    rows, columns = (torch.randint(0, 2 * most + 1, (len(x),), generator=drawn) for most in (up, left))
    return windows[torch.arange(len(x)), :, rows, columns]


def _mix(x: Tensor, drawn: Generator) -> Tensor:
    """Half of the pictures blended with the next one, in a proportion drawn for each; the others stay as they are."""
    share = torch.rand((len(x), 1, 1, 1), generator=drawn, dtype=x.dtype)
    blended = torch.rand((len(x), 1, 1, 1), generator=drawn) < HALF
    return torch.where(blended, share * x + (1 - share) * x.roll(1, 0), x)


CHANGES: Mapping[str, Callable[[Tensor, Generator], Tensor]] = {"flip": _flip, "crop": _crop, "mixup": _mix}
"""By the names in `AUGMENTATIONS`."""


def augmented(feeds: Mapping[str, Tensor], names: Sequence[str], drawn: Generator) -> dict[str, Tensor]:
    """The feeds, with the pictures among them changed. Raises UsageError where there is none."""
    found = dict(feeds)
    pictures = [name for name, x in feeds.items() if x.ndim == RANK and x.is_floating_point()]
    if not pictures:
        raise UsageError("distill: augment changes pictures, and the model has no input of four axes for them")
    for name in pictures if names else ():
        last = feeds[name].shape[1] not in CHANNELS and feeds[name].shape[-1] in CHANNELS
        x = feeds[name].movedim(-1, 1) if last else feeds[name]
        for change in names:
            x = CHANGES[change](x, drawn)
        found[name] = x.movedim(1, -1) if last else x
    return found
