"""The state of one compile, and the gate through which every rewrite goes: left out, checked, committed, noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from graphopt.analysis.binding import bindings
from graphopt.analysis.shapes import Shapes
from graphopt.errors import PassError
from graphopt.ir.edit import Editor, Rewrite
from graphopt.ir.model import Model
from graphopt.ir.scratch import Scratch
from graphopt.ir.types import Array, Constant, Node, Stored, Tensor
from graphopt.numerics.run import InProcess, Runner
from graphopt.pipeline.journal import Entry, Journal, Owed, Status, Table, Verdict
from graphopt.pipeline.structure import schema_fault
from graphopt.target import ORT, Target

if TYPE_CHECKING:
    from graphopt.data.source import Data
    from graphopt.numerics.contract import Contract
    from graphopt.rewrite.driver import Refusal, Tried
    from graphopt.rewrite.rule import Rule

Key = tuple[str, str, int]
"""A rewrite's identity in every replay of one compile: rule, place, and how many of that rule and place came before."""

MADE = 64 << 20
"""Bytes of weights that rewrites may make before they are kept in a file."""


class Limits(NamedTuple):
    """left_out: rewrites not to be made, nor offered again later by the same rule at the same place.
    fuel: the number of rewrites after which none is made any more; None for all.
    """

    left_out: Collection[Key] = ()
    fuel: int | None = None


Activations = Callable[[Sequence[Tensor]], Sequence[Mapping[Tensor, Array]]]
"""What tensors hold while the model runs on data: for each batch, each tensor's values."""


class Check(Protocol):
    """Whether a rewrite by the named rule keeps its contract, on drawn numbers or on the activations that are given."""

    def __call__(
        self, context: Context, rewrite: Rewrite, rule: str, numerics: Contract, activations: Activations | None = None
    ) -> Verdict | Owed:
        """The verdict, or what gives it later."""
        ...


class Goal(Protocol):
    """What lossy passes are judged by."""

    @property
    def metric(self) -> str:
        """Its name."""
        ...

    @property
    def allowed(self) -> float | None:
        """How much may be lost of the metric, in its own scale; None where nobody said."""
        ...

    def loss(self, model: Path) -> float:
        """How much worse a model is than the original, in the scale of the metric; below 0 if it is better."""
        ...


@dataclass(frozen=True)
class Resources:
    """What the user gives to a compile besides the model.

    calibration: samples of what the model is fed, whose labels nobody looks at. goal: what lossy passes are judged by.
    judged: whether those are also the samples that the goal is measured on, because the user gave no others.
    seed: of everything random. original: gives the original model anew.
    memo: what passes want to keep over all attempts of one compile, by content. tell: shows progress.
    """

    calibration: Data | None = None
    goal: Goal | None = None
    seed: int = 0
    original: Callable[[], Model] | None = None
    memo: dict[Hashable, Any] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _text: None
    judged: bool = False


class Context:
    """What passes work on.

    model, editor: the model and the only way to change it.
    shapes: types, shapes and known integer values; up to date at the start of each pass.
    shapes_revision: the editor's revision at which they were up to date.
    journal: what has happened so far. tried: how far each rule has been tried, at each version of ai.onnx.
    settled: steps that are safe and found nothing to change, with the editor's revision: they would find nothing again.
    runner: runs small models, for passes that compute what the runtime would.
    bindings: numbers for the free dimensions, at which rewrites are checked; by default two that the analysis finds.
    target: where the model is to run.
    calibration, goal, seed, memo, original: see `Resources`.
    """

    def __init__(
        self,
        model: Model,
        check: Check | None = None,
        limits: Limits | None = None,
        runner: Runner | None = None,
        bindings: Sequence[Mapping[str, int]] = (),
        target: Target = ORT,
        resources: Resources | None = None,
    ) -> None:
        self.resources = resources or Resources()
        self.model = model
        self.target = target
        self.editor = Editor(model)
        self.shapes = Shapes(model)
        self.journal = Journal()
        self.runner = runner or InProcess()
        self.tried: dict[tuple[Rule, int], Tried] = {}
        self.settled: dict[str, int] = {}
        self.keys: list[Key] = []
        self.step = ""
        self._check = check
        self._limits = limits or Limits()
        self._seen: Counter[tuple[str, str]] = Counter()
        self.shapes_revision = 0
        self._bindings = list(bindings)
        self._bound: list[Shapes] | None = None
        self._rejected: set[tuple[str, str]] = set()
        self._owed: list[tuple[int, Owed]] = []
        self._scratch, self._made = Scratch(), 0

    def begin(self, step: str) -> None:
        """Start a pass: node order and analyses are brought up to date."""
        self.step = step
        self.editor.flush()
        if self.shapes_revision != self.editor.revision:
            old, self.shapes = self.shapes, self.shapes.renewed()
            if self._bound is not None:
                self._bound = [self.shapes if bound is old else bound.renewed() for bound in self._bound]
            self.shapes_revision = self.editor.revision

    @property
    def bound(self) -> list[Shapes]:
        """The shapes with every free dimension bound to a small number, in two ways if there is a free dimension.

        Inputs that have defaults hold them.
        """
        if self._bound is None:
            self._bindings = self._bindings or list(bindings(self.model, self.shapes))
            fixed = not self.model.graph.defaults
            self._bound = [
                self.shapes if fixed and not binding else Shapes(self.model, binding, defaults=True)
                for binding in self._bindings
            ]
        return self._bound

    @property
    def spent(self) -> bool:
        """Whether the fuel is used up, so that no further rewrite will be made."""
        return self._limits.fuel is not None and len(self.keys) >= self._limits.fuel

    def apply(
        self,
        rewrite: Rewrite,
        rule: str,
        numerics: Contract,
        evidence: Verdict | None = None,
        feeds: Activations | None = None,
    ) -> list[Node] | None:
        """Check and commit a rewrite.

        rule: the name under which it is reported. evidence: a verdict that makes the region check superfluous, for
        replacements that the reference runtime itself computed. feeds: what the region is checked on instead of drawn
        numbers.
        Returns the new nodes, or None if the rewrite was not let through.
        """
        place = f"{rewrite.root.op} {rewrite.root.name or rewrite.root.outputs[0].name}"
        if self.admit(rule, place, numerics, lambda: evidence or self._verdict(rewrite, rule, numerics, feeds)):
            self._put_away(rewrite)
            return self.editor.commit(rewrite, rule)
        return None

    def _put_away(self, rewrite: Rewrite) -> None:
        """Keep the weights that a rewrite has made in a file, once there are many."""
        for tensor in dict.fromkeys(tensor for call in rewrite.after for tensor in call.inputs):
            if isinstance(tensor, Constant) and not tensor.outputs and not isinstance(tensor.stored, Stored):
                self._made += tensor.nbytes
                if self._made > MADE and tensor.dtype.kind != "O":
                    tensor.values = self._scratch.put(tensor.values)

    def admit(self, rule: str, place: str, numerics: Contract, judge: Callable[[], Verdict | Owed]) -> bool:
        """Whether a change of any kind is let through: within the fuel, not left out, not wrong. It is then on record.

        judge: gives the verdict on it. The caller must make the change if and only if the answer is True.
        """
        if self.spent:
            return False
        key = (rule, place, self._seen[rule, place])
        self._seen[rule, place] += 1
        if key in self._limits.left_out:
            self._rejected.add((rule, place))
        if (rule, place) in self._rejected:
            return False
        judged = judge()
        if not isinstance(judged, Verdict):
            self._owed.append((len(self.journal.entries), judged))
            judged = Verdict(Status.OWED)
        entry = Entry(len(self.keys), self.step, rule, place, str(numerics), judged)
        self.journal.entries.append(entry)
        if entry.kept:
            self.keys.append(key)
        else:
            self._rejected.add((rule, place))
        return entry.kept

    def settle(self) -> bool:
        """Wait for the verdicts that are owed. Whether none of them is that a rewrite is wrong."""
        entries = self.journal.entries
        for index, owed in self._owed:
            entries[index] = replace(entries[index], verdict=owed())
        settled = all(entries[index].kept for index, _ in self._owed)
        self._owed.clear()
        return settled

    @property
    def checks(self) -> bool:
        """Whether rewrites are checked by running them."""
        return self._check is not None

    def _verdict(
        self, rewrite: Rewrite, rule: str, numerics: Contract, feeds: Activations | None = None
    ) -> Verdict | Owed:
        reason = schema_fault(rewrite.after, self.model.opsets, self.model.functions)
        if reason:
            return Verdict(Status.WRONG, detail=reason)
        return self._check(self, rewrite, rule, numerics, feeds) if self._check else Verdict(Status.OFF)

    def refuse(self, refusal: Refusal) -> None:
        """Take note of why a rule left a place alone."""
        self.journal.refuse(refusal)

    def note(self, text: str) -> None:
        """Tell the user something that is neither a rewrite nor a refusal."""
        if text not in self.journal.notes:
            self.journal.notes.append(text)

    def tabulate(self, table: Table) -> None:
        """Put figures into the report."""
        self.journal.tables.append(table)

    def say(self, text: str) -> None:
        """Tell whoever watches what is being done."""
        self.resources.tell(text)

    @property
    def calibration(self) -> Data | None:
        """Samples of what the model is fed, if the user gave any."""
        return self.resources.calibration

    @property
    def goal(self) -> Goal | None:
        """What lossy passes are judged by, if the user gave data and a metric."""
        return self.resources.goal

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.resources.seed

    @property
    def memo(self) -> dict[Hashable, Any]:
        """What passes keep over all attempts of one compile."""
        return self.resources.memo

    @property
    def original(self) -> Model:
        """The original model, read anew. Raises PassError where the compile was given none."""
        if self.resources.original is None:
            raise PassError(f"pass {self.step} needs the original model, which this compile does not have")
        return self.resources.original()
