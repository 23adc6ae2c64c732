"""Reference execution: ONNX Runtime on the CPU, with everything off that could change the numbers.

No graph optimisation (it would perform the rewrite under test), no prepacked weights, one thread, no logging.
What cannot be run is a `RunFailure` with the runtime's own words, never a wrong or missing result.

The functions are pure and their arguments and results can be pickled. `Runner` is the seam behind which they
run in this process (`InProcess`) or in one that may die (`graphopt.numerics.worker.Worker`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from graphopt.numerics.compare import Comparison, compare
from graphopt.numerics.failure import RunFailure
from graphopt.numerics.feeds import FeedPlan
from graphopt.numerics.process import limit_after
from graphopt.numerics.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphopt.numerics.contract import Contract
    from graphopt.numerics.session import ModelSource
    from graphopt.numerics.values import Value


class PairResult(NamedTuple):
    """What came of running two models on the same feeds.

    comparisons: one for each feed, in order, as far as they were made.
    failure: why not all were made, or None; side: the model that failed, "" if neither did.
    """

    comparisons: tuple[Comparison, ...] = ()
    failure: RunFailure | None = None
    side: Literal["", "before", "after"] = ""

    @property
    def verdict(self) -> Literal["ok", "wrong", "unverified"]:
        """wrong: a difference, or only the model after fails. ok: every feed compared well.

        Everything else is unverified, also when no finite number was there to be compared.
        """
        if self.side == "after" or any(not comparison.ok for comparison in self.comparisons):
            return "wrong"
        compared = sum(comparison.compared for comparison in self.comparisons)
        return "ok" if self.failure is None and compared else "unverified"

    @property
    def worst(self) -> Comparison | None:
        """The comparison that decides: the first that is not ok, else the one with the largest error."""
        return max(self.comparisons, key=lambda c: (not c.ok, c.k), default=None)

    @property
    def reason(self) -> str:
        """Why the verdict is not "ok", in one sentence; "" if it is."""
        if self.worst is not None and not self.worst.ok:
            return self.worst.reason
        if self.failure is not None:
            return f"The model {self.side or 'pair'} could not be run: {self.failure.reason}"
        return "" if self.verdict == "ok" else "No finite number was there to be compared."


class Pair(NamedTuple):
    """Two models to be compared: the arguments of `check_pair`."""

    before: ModelSource
    after: ModelSource
    feeds: list[Mapping[str, Value] | FeedPlan]
    contract: Contract
    given: dict[str, Value]
    limit_s: float


class Runner(Protocol):
    """Something that runs models. `limit_s` is for one model, loading and all its runs; None is no limit."""

    def start(self) -> None:
        """Get ready in the background; optional."""

    def run(
        self,
        model: ModelSource,
        feeds: Mapping[str, Value] | FeedPlan,
        *,
        outputs: Sequence[str] | None = None,
        folder: str = "",
        limit_s: float | None = None,
    ) -> list[Value]:
        """As the function `run`."""

    def check_pair(
        self,
        before: ModelSource,
        after: ModelSource,
        feeds: Sequence[Mapping[str, Value] | FeedPlan],
        contract: Contract,
        *,
        given: Mapping[str, Value] | None = None,
        folder: str = "",
        limit_s: float | None = None,
    ) -> PairResult:
        """As the function `check_pair`."""

    def close(self) -> None:
        """Release what is held; a later call starts anew."""


def run(
    model: ModelSource,
    feeds: Mapping[str, Value] | FeedPlan,
    *,
    outputs: Sequence[str] | None = None,
    folder: str = "",
    limit_s: float | None = None,
    threads: int = 1,
) -> list[Value]:
    """The outputs of `model` on `feeds`, in the order of `outputs` (by default all, in the model's order).

    feeds: values by input name, or a plan to draw them; names that the model does not know are left out.
        Arrays are not copied. Overridable initializers may be fed.
    folder: where the external data of a model given as bytes lies.
    limit_s: seconds for loading and running. Native code that never looks up is only stopped by a `Worker`.
    Raises RunFailure.
    """
    with Session(model, folder=folder, threads=threads, limit_s=limit_s) as session:
        return session.run(drawn(feeds), outputs)


class Expected(NamedTuple):
    """What a model gives: the names of its outputs, and for each feed, as drawn, their values. It took `seconds`."""

    names: list[str]
    feeds: list[Mapping[str, Value]]
    values: list[list[Value]]
    seconds: float


def expected(
    model: ModelSource,
    feeds: Sequence[Mapping[str, Value] | FeedPlan],
    *,
    given: Mapping[str, Value] | None = None,
    folder: str = "",
    limit_s: float | None = None,
) -> Expected:
    """What `model` gives on every feed; the other arguments are as in `check_pair`. Raises RunFailure."""
    begin = time.monotonic()
    held = [{**drawn(feed), **given} if given else drawn(feed) for feed in feeds]
    with Session(model, folder=folder, limit_s=limit_s) as session:
        values = [session.run(feed) for feed in held]
        return Expected(session.output_names, held, values, time.monotonic() - begin)


def check_pair(
    before: ModelSource | Expected,
    after: ModelSource,
    feeds: Sequence[Mapping[str, Value] | FeedPlan],
    contract: Contract,
    *,
    given: Mapping[str, Value] | None = None,
    folder: str = "",
    limit_s: float | None = None,
    on_after: Callable[[], None] = lambda: None,
) -> PairResult:
    """Run both models on every feed and compare the outputs, which must have the same names, by `contract`.

    before: a model, or what it has given on the same feeds.
    given: values that are fed besides each of the feeds.
    Never raises RunFailure: failures are part of the result. `folder` and `limit_s` are as in `run`.
    `on_after` is called when the first model is through; its outputs are held until the second has run.
    """
    try:
        if isinstance(before, Expected):
            wanted = before
        else:
            wanted = expected(before, feeds, given=given, folder=folder, limit_s=limit_s)
    except RunFailure as failure:
        return PairResult(failure=failure, side="before")
    on_after()
    comparisons: list[Comparison] = []
    try:
        with Session(after, folder=folder, limit_s=limit_after(limit_s, wanted.seconds)) as session:
            for plan, feed, reference in zip(feeds, wanted.feeds, wanted.values, strict=True):
                overflow = isinstance(plan, FeedPlan) and plan.overflow
                candidate = session.run(feed, wanted.names)
                comparisons.append(compare(reference, candidate, contract, names=wanted.names, overflow=overflow))
    except RunFailure as failure:
        return PairResult(tuple(comparisons), failure, "after")
    return PairResult(tuple(comparisons))


class InProcess:
    """Runs in this process: quickest to start, but a crash of the runtime takes everything down."""

    def start(self) -> None:
        """Nothing to get ready."""

    run = staticmethod(run)
    check_pair = staticmethod(check_pair)

    def close(self) -> None:
        """Nothing to release."""


def drawn(feeds: Mapping[str, Value] | FeedPlan) -> Mapping[str, Value]:
    """The values of a plan; values as they are. Raises RunFailure where they are too large."""
    if not isinstance(feeds, FeedPlan):
        return feeds
    try:
        return feeds.draw()
    except (MemoryError, ValueError) as error:
        raise RunFailure("memory", f"The inputs are too large to be drawn: {error}") from error
