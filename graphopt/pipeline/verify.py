"""The verifier: runs the region of every rewrite, and the whole model at the end, against their contracts."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.analysis.binding import uniform_bindings
from graphopt.analysis.shapes import Shapes
from graphopt.ir import walk
from graphopt.ir.edit import Rewrite
from graphopt.ir.model import Model
from graphopt.ir.reader import load as load_model
from graphopt.ir.types import Array, Constant
from graphopt.numerics.ahead import Ahead
from graphopt.numerics.contract import LOOSE, METRICS, Close, Contract, Exact, Judged, Lossy, combined, parse_contract
from graphopt.numerics.feeds import FeedPlan
from graphopt.numerics.inputs import input_specs
from graphopt.numerics.nondeterminism import nondeterministic
from graphopt.numerics.region import Region, Unverifiable, region, repeats
from graphopt.numerics.run import PairResult, Runner, drawn
from graphopt.numerics.sensitivity import amplification, hidden_roundings
from graphopt.pipeline.context import Activations, Context, Goal
from graphopt.pipeline.journal import Owed, Status, Verdict
from graphopt.pipeline.level import Level
from graphopt.pipeline.reproducer import write_reproducer
from graphopt.target import Target

if TYPE_CHECKING:
    from graphopt.data.source import Data

REGION_SECONDS = 60.0
WHOLE_SECONDS, LEAST_SECONDS = 600.0, 30.0
NODES_A_SECOND, BYTES_A_SECOND = 200, 4 << 20
"""The model as a whole has so many seconds at the most, and at the least; between them as its nodes and weights are."""
WHOLE_BYTES, WHOLE_NODES = 1 << 30, 30_000
"""Models with more weights or nodes are compared as a whole only at level `full`: to load them takes minutes."""
SAMPLES = 8
"""Samples of calibration data on which a lossy result is compared with the original."""
CHECKED = frozenset({Status.VERIFIED, Status.EVALUATED})
"""Verdicts on rewrites that hold at every binding: where there are no others, the whole is compared at one."""
SAME = Verdict(Status.VERIFIED, 0.0, "the same calls")
NOT_JUDGED = "what it computes was changed on purpose, and no metric says how good it is (--data, --metric)"
NO_BOUND = "its rewrites are lossy in different metrics, which do not add up to a bound on the whole"

Feed = FeedPlan | Mapping[str, Array]


@dataclass
class Verifier:
    """Checks rewrites and results; remembers regions it has seen.

    ahead: what runs regions while the compile goes on, for `check_ahead`.
    source: gives the original model anew each time. original: the same as the runner takes it: a path, or bytes.
    reproducers: the folder for reproducers of wrong rewrites; None to write none.
    feeds: inputs of the user's own for the comparison of the whole, besides drawn ones.
    """

    runner: Runner
    source: Callable[[], Model]
    original: Callable[[], str | bytes]
    level: Level = Level.REGION
    seed: int = 0
    reproducers: Path | None = None
    feeds: Mapping[str, Array] | None = None
    ahead: Ahead | None = None
    checked: int = 0
    _known: dict[Hashable, Verdict | Owed] = field(default_factory=dict)
    _outlines: set[Hashable] = field(default_factory=set)
    _weights: int = 0
    _nodes: int = 0
    _ways: list[list[Feed]] | str | None = None
    """For each way to run the original, best first: what to feed at one or more bindings; or why it cannot be run."""
    _short: list[list[Feed]] = field(default_factory=list)
    """The same, each at one binding; on the first the original is run while the compile goes on."""
    _expecting: bool = False

    # ---- one rewrite ----

    def check(
        self,
        context: Context,
        rewrite: Rewrite,
        rule: str,
        numerics: Contract,
        activations: Activations | None = None,
    ) -> Verdict:
        """Whether the rewrite keeps its contract on its own region."""
        built, key = self._region(context, rewrite, numerics)
        if isinstance(built, Verdict):
            return built
        if activations is not None:
            return self._run(rewrite, rule, built, numerics, built.fed(activations([*built.inputs])))
        known = self._known.get(key)
        verdict = known if isinstance(known, Verdict) else self._run(rewrite, rule, built, numerics)
        if key is not None:
            self._known[key] = verdict
        return verdict

    def check_ahead(
        self,
        context: Context,
        rewrite: Rewrite,
        rule: str,
        numerics: Contract,
        activations: Activations | None = None,
    ) -> Verdict | Owed:
        """As `check`, but the verdict may come later. That something is wrong is not remembered: it is found again.

        Of lossy rewrites the verdict comes at once: what they are made of takes too long to be made twice.
        """
        if self._short and not self._expecting:
            self._expect(self._short[0])
        if self.ahead is None or activations is not None or isinstance(numerics, LOOSE):
            return self.check(context, rewrite, rule, numerics, activations)
        built, key = self._region(context, rewrite, numerics)
        if isinstance(built, Verdict):
            return built
        known = self._known.get(key)
        if known is None:
            known = self._run_ahead(self.ahead, built, key, numerics)
            if key is not None:
                self._known[key] = known
        return known

    def _region(
        self, context: Context, rewrite: Rewrite, numerics: Contract
    ) -> tuple[Region, Hashable] | tuple[Verdict, None]:
        """The region, and a key that equal ones have; or a verdict that needs no run."""
        if repeats(rewrite):
            return SAME, None
        if context.editor.nested:
            context.editor.flush()  # a graph inside the region is run as its list of nodes says
        try:
            built = region(rewrite, context.model, context.bound)
        except Unverifiable as reason:
            return Verdict(Status.UNVERIFIED, detail=str(reason)), None
        if built.same:
            return SAME, None
        return built, None if built.key is None else (built.key, numerics)

    def _run_ahead(self, ahead: Ahead, built: Region, key: Hashable, numerics: Contract) -> Owed:
        before, after = built.models(whole=False)
        outline = built.outline, numerics
        leans = outline in self._outlines
        plans, *larger = self._plans(built, numerics)
        coming = ahead.check_pair(before, after, plans, numerics, given=built.bulky(), limit_s=REGION_SECONDS)
        coming.add_done_callback(lambda _: built.release())
        self.checked += 1
        self._outlines.add(outline)

        def owed() -> Verdict:
            verdict = self._judged(coming.result(), before, plans, numerics, built.bulky)
            choices = larger if verdict.status is not Status.VERIFIED else []
            if leans and outline not in self._outlines:
                choices = self._plans(built, numerics)
            if choices:
                verdict, _ = self._compared((before, after), choices, numerics, built.bulky)
            if verdict.status is not Status.VERIFIED:
                self._outlines.discard(outline)
            if verdict.status is Status.WRONG:
                self._known.pop(key, None)
            elif key is not None:
                self._known[key] = verdict
            return verdict

        return owed

    def _run(
        self, rewrite: Rewrite, rule: str, built: Region, numerics: Contract, given: Sequence[Feed] = ()
    ) -> Verdict:
        before, after = built.models()
        choices = [given] if given else self._plans(built, numerics)
        verdict, plans = self._compared((before, after), choices, numerics)
        self.checked += 1
        if verdict.status is Status.VERIFIED and not given:
            self._outlines.add((built.outline, numerics))
        if verdict.status is Status.WRONG and self.reproducers is not None:
            folder = write_reproducer(self.reproducers, rule, rewrite, before, after, plans, numerics, verdict)
            verdict = Verdict(verdict.status, verdict.error, verdict.detail, str(folder))
        return verdict

    def _compared(
        self,
        models: tuple[bytes, bytes],
        choices: Sequence[Sequence[Feed]],
        numerics: Contract,
        given: Callable[[], Mapping[str, Array]] = dict,
    ) -> tuple[Verdict, Sequence[Feed]]:
        """The verdict on two models, and what they were fed: the first choice on which it is good, or the last."""
        for plans in choices:
            result = self.runner.check_pair(*models, plans, numerics, given=given(), limit_s=REGION_SECONDS)
            verdict = self._judged(result, models[0], plans, numerics, given)
            if verdict.status is Status.VERIFIED:
                break
        return verdict, plans

    def _judged(
        self,
        result: PairResult,
        before: bytes,
        plans: Sequence[Feed],
        numerics: Contract,
        given: Callable[[], Mapping[str, Array]] = dict,
    ) -> Verdict:
        """The verdict on a region: it may miss what was promised on some feed as far as, on that feed, it amplifies
        rounding errors itself. Scores of a Softmax that large numbers make equal but for these are an example."""
        verdict = _verdict(result, numerics)
        if verdict.status is not Status.WRONG or result.side or not isinstance(numerics, Close):
            return verdict
        model, largest = load_model(before), 1.0
        for plan, comparison in zip(plans, result.comparisons, strict=True):
            if comparison.ok:
                continue
            if not math.isfinite(comparison.k) or not numerics.k:
                return verdict
            enough = comparison.k / numerics.k
            factor = amplification(self.runner, model, before, {**drawn(plan), **given()}, self.seed, enough)
            if comparison.k > numerics.k * factor:
                return verdict
            largest = max(largest, factor)
        return _amplified(str(numerics), verdict.error, largest)

    def _plans(self, built: Region, numerics: Contract) -> list[list[FeedPlan]]:
        """What to run a region on: small pictures, and, should it not hold on them, pictures as they are.

        Both are ordinary numbers at the last binding, whose numbers are least, and unusual ones among others at the
        first. Where a region with other weights but otherwise the same has passed both, ordinary ones at the first
        suffice. At level `full`, and for what is lossy by design, pictures stay as they are, and ordinary numbers run
        at all bindings.
        """
        thorough = self.level is Level.FULL or isinstance(numerics, LOOSE)
        passed = (built.outline, numerics) in self._outlines
        plans = []
        for feeds in [built.feeds] if thorough or not built.small else [built.small, built.feeds]:
            usual = feeds[::-1] if thorough else feeds[:1] if passed else feeds[-1:]
            unusual = [] if passed else [FeedPlan(feeds[0], self.seed, "edge", overflow=True)]
            plans.append([*(FeedPlan(inputs, self.seed, "normal") for inputs in usual), *unusual])
        return plans

    # ---- the whole model ----

    def observe(self, context: Context) -> None:
        """Begin an attempt; at the first, take down how the inputs of the original model may be fed."""
        self._outlines.clear()
        if self._ways is not None:
            return
        self._nodes = len(context.editor.home)
        self._weights = sum(t.nbytes for t in walk.tensors(context.model.graph) if isinstance(t, Constant))
        random = next((node for node in walk.nodes(context.model.graph) if nondeterministic(node)), None)
        if random is not None:
            self._ways = f"the model draws random numbers: {random!r}"
            return
        uniform = [Shapes(context.model, binding) for binding in uniform_bindings(context.model)]
        groups = [context.bound, *([shapes] for shapes in uniform)]
        drawn: list[list[Feed]] = []
        for group in groups:
            try:
                drawn.append([FeedPlan(input_specs(context.model, shapes), self.seed) for shapes in group])
            except Unverifiable as reason:
                self._ways = str(reason)
        if self.feeds is not None:
            given: Feed = self.feeds
            drawn = [[given, *way] for way in drawn] + [[given]]
        self._ways = drawn or self._ways
        self._short = drawn if self.feeds is not None or self.level is Level.FULL else [way[:1] for way in drawn]

    def _expect(self, way: list[Feed]) -> None:
        """Have the original run while the compile goes on: what it gives is needed once there is a rewrite."""
        self._expecting = True
        if self.ahead is not None and not self._beyond and self.feeds is None:
            self.ahead.expect(self.original(), way, limit_s=self._patience)

    def whole(self, context: Context) -> Verdict:
        """Whether the model as it is now agrees with the original within the sum of the contracts of its rewrites."""
        if not context.keys:
            if isinstance(self._ways, list) and not self._expecting:
                self._expect(self._ways[0][-1:])
            failure = None if self.ahead is None else self.ahead.failure(REGION_SECONDS)
            if failure is not None:
                context.note(f"the model itself could not be run: {failure.reason}")
            return Verdict(Status.VERIFIED, detail="nothing was rewritten")
        if self._ways is None or isinstance(self._ways, str):
            return Verdict(Status.UNVERIFIED, detail=self._ways or "the inputs of the model are unknown")
        if self._beyond:
            detail = f"{self._beyond} are above the budget of the level region: use full"
            return Verdict(Status.UNVERIFIED, detail=detail)
        with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
            candidate = Path(folder) / "candidate.onnx"
            context.model.save(candidate)
            return self._compare(context, str(candidate), self._ways)

    @property
    def _patience(self) -> float:
        """Seconds that the whole model may take to be loaded and run: a hostile one goes on for ever."""
        if self.level is Level.FULL:
            return WHOLE_SECONDS
        return min(LEAST_SECONDS + self._nodes / NODES_A_SECOND + self._weights / BYTES_A_SECOND, WHOLE_SECONDS)

    @property
    def _beyond(self) -> str:
        """What makes the model too large to be compared as a whole; empty if nothing does."""
        if self.level is Level.FULL:
            return ""
        beyond = [f"{self._weights / 2**30:.1f} GB of weights"] if self._weights > WHOLE_BYTES else []
        beyond += [f"{self._nodes:,} nodes"] if self._nodes > WHOLE_NODES else []
        return " and ".join(beyond)

    def _compare(self, context: Context, candidate: str, ways: Sequence[list[Feed]]) -> Verdict:
        """The verdict of the first way in which the original can be run."""
        kept = [entry for entry in context.journal.entries if entry.kept]
        promised = combined(parse_contract(entry.contract) for entry in kept)
        contract = promised or Judged()
        if not isinstance(contract, LOOSE) and CHECKED.issuperset(entry.verdict.status for entry in kept):
            ways = self._short
        original = self.original()
        sampled = _samples(context.calibration) if isinstance(contract, LOOSE) else None
        for way in ways if sampled is None else [[sampled], *ways]:
            check = self.ahead.against if self.ahead and way is self._short[0] else self.runner.check_pair
            result = check(original, candidate, way, contract, limit_s=self._patience)
            if result.side != "before" or (result.failure and result.failure.kind == "timeout"):
                break
        unknown = NO_BOUND if promised is None and result.verdict == "ok" else _only_elsewhere(result, context.target)
        if unknown:
            return Verdict(Status.UNVERIFIED, detail=unknown)
        if isinstance(contract, Judged) and result.verdict == "ok":
            return _by_metric(context.goal)
        worst = result.worst
        if worst is None or worst.ok or not isinstance(contract, Close | Exact) or not math.isfinite(worst.k):
            return _verdict(result, contract)
        model = self.source()
        hidden = hidden_roundings(model, len(context.keys))
        allowed = (contract.k if isinstance(contract, Close) else 0) + hidden
        if allowed == 0:
            return _verdict(result, contract)
        factor = amplification(self.runner, model, original, drawn(way[0]), self.seed, worst.k / allowed)
        if worst.k > allowed * factor:
            return _verdict(result, contract)
        allowance = f"{contract} and {hidden} roundings to 16 bits" if hidden else str(contract)
        detail = f"within {allowance} times {factor:.3g}, by which the original itself amplifies a rounding error"
        return Verdict(Status.VERIFIED, worst.k, detail)


def _samples(data: Data | None) -> Feed | None:
    """A few samples to compare models on; None without data."""
    batch = next(data.batches(limit=SAMPLES), None) if data is not None else None
    return None if batch is None else batch.feeds


def _by_metric(goal: Goal | None) -> Verdict:
    """The verdict on a whole that computes something else, on purpose, and runs."""
    if goal is None:
        return Verdict(Status.UNVERIFIED, detail=NOT_JUDGED)
    return Verdict(Status.VERIFIED, detail=f"judged by {goal.metric}")


def _only_elsewhere(result: PairResult, target: Target) -> str:
    """Why a result cannot be run here that is right for its target; "" if that is not so."""
    failure = result.failure
    if not target.elsewhere or failure is None or (result.side, failure.kind) != ("after", "unsupported"):
        return ""
    return f"the target {target} is to run what nothing here does: {failure.reason}"


def _amplified(promised: str, error: float | None, factor: float) -> Verdict:
    detail = f"within {promised} times {factor:.3g}, by which the original itself amplifies a rounding error"
    return Verdict(Status.VERIFIED, error, detail)


def _verdict(result: PairResult, contract: Contract) -> Verdict:
    """The verdict on a pair, with the largest error in the unit of the contract."""
    error = None if result.worst is None or isinstance(contract, Judged) else result.worst.k
    if isinstance(contract, Lossy):
        worst = min if METRICS[contract.metric] == ">=" else max
        error = worst((comparison.error for comparison in result.comparisons), default=None)
    status = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}[result.verdict]
    return Verdict(status, error, result.reason)
