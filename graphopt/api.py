"""The library's one verb: `optimize` a model with a pipeline, checked, and say what was done."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from graphopt.ir.garbage import uncollected
from graphopt.numerics.process import started
from graphopt.pipeline.level import Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import onnx

    from graphopt.budget import Budget
    from graphopt.compile import Passes, Result
    from graphopt.data.source import Data
    from graphopt.ir.model import Model
    from graphopt.ir.types import Array
    from graphopt.measure.metrics import Metric
    from graphopt.numerics.process import Process
    from graphopt.numerics.run import Runner
    from graphopt.pipeline.manager import Observer
    from graphopt.target import Target

DEFAULT = (
    "clean,fix(canonical,fold,fuse,clean),positions,attention,"
    "fix(layout,algebra,canonical,fold,fuse,clean),blocks,clean"
)
"""What `optimize` runs when nothing is said: only rewrites that are `Exact` or `Close`."""


def optimize(
    source: str | Path | onnx.ModelProto | Model,
    *,
    passes: Passes | None = None,
    verify: str | Level = Level.REGION,
    seed: int = 0,
    limit: int | None = None,
    feeds: Mapping[str, Array] | None = None,
    reproducers: str | Path | None = None,
    plugins: Sequence[str] = (),
    observers: Sequence[Observer] = (),
    runner: Runner | Process | None = None,
    allow_outside: bool = False,
    inline: bool = False,
    target: str | Target = "ort",
    budget: Budget | None = None,
    data: Data | str | Path | None = None,
    metric: Metric | str | None = None,
    calibration: Data | str | Path | None = None,
) -> Result:
    """Optimise a model; the source itself is never changed.

    passes: a pipeline's text (`"fold,fuse"`), a `Pipeline`, or a list of names, rules and passes; by default `DEFAULT`.
    verify: how much is checked, see `Level`.
    seed: of the inputs on which models are compared.
    limit: make at most this many rewrites (to find out which one breaks something).
    feeds: inputs of your own, by name, on which the whole models are compared besides drawn ones; their shapes also
        choose the sizes of free dimensions at which rewrites are checked.
    reproducers: a folder in which every wrong rewrite leaves what is needed to see the fault again.
    plugins: modules whose `PASSES` are added to the known passes.
    runner: runs the models; by default a worker process that may crash or hang without harm. A `Process` that was
        started before is what that worker begins with.
    allow_outside: let the model's external data lie outside its folder.
    inline: first replace calls of the model's own functions by their bodies, which passes otherwise leave alone.
    target: where the model is to run, a name or a `Target`: no rule writes an operator that this lacks.
    budget: limits that the result must keep; passes and lossy rewrites that break them are left out.
    data, metric: what the original and the result are scored with; see `open_data` and `METRICS`.
    calibration: samples that lossy passes may look at, whose labels do not matter; by default those of `data`.

    Raises UsageError for a pipeline that does not exist or an argument that does not fit, ModelError for a file that
    cannot be read, PassError for a pass that breaks the model, VerificationError if the result is wrong and no single
    rewrite explains it, BudgetError, which holds the best result, if none stays within the budget.
    """
    begun: AbstractContextManager[Runner | Process | None] = started() if runner is None else nullcontext(runner)
    with uncollected(), begun as first:
        from graphopt.compile import Asked, compiled

        asked = Asked(
            source, DEFAULT if passes is None else passes, verify, seed, limit, feeds, reproducers, plugins,
            observers, first, allow_outside, inline, target, budget, data, metric, calibration,
        )  # fmt: skip
        return compiled(asked)
