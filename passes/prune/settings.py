"""What the user asked of the pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from graphopt.pipeline.passes import Option, Options, names
from passes.prune.kind import Kind

IMPORTANCES = ("l1", "l2", "bn", "activation", "obs", "taylor", "random")
ALLOCATIONS = ("uniform", "global", "sensitivity")
RECOVERIES = ("squares", "statistics", "none")
TARGETS = ("ratio", "macs", "params", "size", "latency")


@dataclass(frozen=True)
class Settings:
    """The options of the pass; None: not said.

    ratio: of each group that goes. macs, params, size, latency: shares of the model's that stay.
    keep, only, kinds, floor, round_to: see `passes.prune.choose`; round_to 0: not said.
    """

    ratio: float | None = None
    macs: float | None = None
    params: float | None = None
    size: float | None = None
    latency: float | None = None
    importance: str = ""
    allocate: str = ""
    recover: str = ""
    keep: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    kinds: tuple[Kind, ...] = ()
    floor: int = 1
    round_to: int = 0
    samples: int = 512
    seed: int = 0

    @property
    def targets(self) -> dict[str, float]:
        """The targets that were given."""
        held = {name: getattr(self, name) for name in TARGETS}
        return {name: value for name, value in held.items() if value is not None}

    @property
    def measured(self) -> tuple[object, ...]:
        """What decides what is measured of the groups."""
        return (self.importance, self.allocate, self.keep, self.only, self.kinds, self.samples, self.seed)


def settings_of(options: Options, seed: int) -> Settings:
    """The settings that options of the pass stand for."""
    known = {one.name for one in fields(Settings)}
    return Settings(**{name: value for name, value in options.items() if name in known}, seed=seed)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise ValueError(f"expected a share, at least 0 and below 1, found {text}")
    return share


def _stays(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0, at most 1, found {text}")
    return share


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"expected a whole number of at least 1, found {text}")
    return number


def _kinds(text: str) -> tuple[Kind, ...]:
    try:
        return tuple(Kind(name) for name in names(text))
    except ValueError:
        raise ValueError(f"expected some of {', '.join(Kind)}, joined with +") from None


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected one of {', '.join(known)}, found {text}")
        return text

    return parse


OPTIONS = (
    Option("ratio", _share, "the share of each group that goes; 0.5 if no target and no --max-drop is given"),
    Option("macs", _stays, "the share of the multiply-adds that stays"),
    Option("params", _stays, "the share of the weights that stays"),
    Option("size", _stays, "the share of the bytes that stays"),
    Option("latency", _stays, "the share of the time of a run that stays, as measured here with one thread"),
    Option(
        "importance",
        _one_of(IMPORTANCES),
        "what goes first: obs if samples are given, else l2; taylor takes torch",
    ),
    Option(
        "allocate", _one_of(ALLOCATIONS), "how much of which group; by default sensitivity with samples, or uniform"
    ),
    Option("recover", _one_of(RECOVERIES), "how outputs are brought back; squares if samples are given, else none"),
    Option("samples", _positive, "use at most so many; by default 512"),
    Option("only", names, "cut only groups with a weight, or a node that reads it, of such a name: conv*+*.fc1.*"),
    Option("keep", names, "leave groups of such names as they are"),
    Option("kinds", _kinds, f"what may be cut, of {', '.join(Kind)}; by default all but {Kind.WIDTH}"),
    Option("floor", _positive, "how many of each group stay at least, by default 1"),
    Option("round_to", _positive, "what stays of each group is a multiple of this, such as 8 for vectors of 8 numbers"),
)
