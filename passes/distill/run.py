"""From a compile to a training run, and back: the student, its teacher, samples, checks, and the trained weights."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from graphopt.cache.key import digest
from graphopt.data.interface import interface, same_inputs
from graphopt.data.source import Data
from graphopt.errors import UsageError
from graphopt.ir.model import Model
from graphopt.ir.reader import load
from graphopt.ir.types import Array, Constant
from graphopt.measure.environment import environment
from graphopt.numerics.contract import Judged
from graphopt.pipeline.context import Context
from graphopt.pipeline.journal import Status, Table, Verdict
from graphopt.pipeline.passes import Options
from passes.distill import checkpoint
from passes.distill.features import shared
from passes.distill.network.network import Network
from passes.distill.samples import Samples
from passes.distill.settings import Settings
from passes.distill.teacher import Teacher
from passes.distill.training import Job, State, Weights, begin, train

RULE = "distilled_weights"
STATUS = {"ok": Status.VERIFIED, "wrong": Status.WRONG, "unverified": Status.UNVERIFIED}
RUN_SECONDS = 600.0
NARROW = frozenset(("amx_bf16", "avx512_bf16"))
"""Features of processors that compute products of bfloat16 faster than those of float32."""


def distill(context: Context, options: Options) -> None:
    """Train the model of a compile. Raises UsageError for options and data that do not fit it."""
    settings = _settings(context, options)
    if context.calibration is None:
        raise UsageError(
            "distill needs samples to train on: --calibration DATA, samples like those of --data, but others"
        )
    if settings.labels and not context.calibration.labelled:
        raise UsageError(f"distill: labels={settings.labels:g} needs labels, and {context.calibration.name} has none")
    if settings.labels and context.resources.judged:
        raise UsageError("distill: labels of the samples that the result is judged on would be no test of it: "
                         "give others to train on (--calibration)")  # fmt: skip
    if settings.labels and "mixup" in settings.augment:
        raise UsageError("distill: a mixture of pictures has no label: take labels or mixup")
    if context.spent:
        return
    if context.resources.judged:
        context.note("distill: trained on the samples that the result is judged on: the score says little of others")
    held, table = _trained(context, options, settings, context.calibration)
    context.tabulate(table)
    if held is None:
        context.note("distill: training found nothing better than the weights that were there")
        return
    arrays = Network(context.model).arrays(held)
    place = f"{len(arrays)} weights"
    if context.admit(RULE, place, Judged(), lambda: _verdict(context, arrays)):
        for constant, values in arrays.items():
            context.editor.assign(constant, values)


def _settings(context: Context, options: Options) -> Settings:
    known = {one.name for one in fields(Settings)}
    given = replace(Settings(seed=context.seed), **{name: value for name, value in options.items() if name in known})
    if given.precision != "auto":
        return given
    return replace(given, precision="bfloat16" if NARROW & set(environment().features) else "float32")


def _trained(context: Context, options: Options, settings: Settings, data: Data) -> tuple[Weights | None, Table]:
    """The trained weights, None if nothing is better than what was there, and how training went.

    A run is made once in a compile.
    """
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        student, teacher = Path(folder) / "student.onnx", options.get("teacher") or Path(folder) / "original.onnx"
        context.model.save(student)
        if "teacher" not in options:
            context.original.save(teacher)
        key = _key(student, teacher, data, settings)
        if key not in context.memo:
            context.memo[key] = _train(context, Run(student, teacher, settings, data, key, options.get("checkpoint")))
        found: tuple[Weights | None, Table] = context.memo[key]
        return found


def _key(student: Path, teacher: Path, data: Data, settings: Settings) -> str:
    """A hash of everything that decides about a run."""
    try:
        parts = ("distill", digest(student), digest(teacher), data.fingerprint(), repr(settings))
    except OSError as error:
        raise UsageError(f"distill: the teacher {teacher}: {error.strerror}") from error
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """A training run: files, what it is told, samples, its hash, and the folder of its checkpoints."""

    student: Path
    teacher: Path
    settings: Settings
    data: Data
    key: str
    checkpoints: Path | None


def _train(context: Context, run: Run) -> tuple[Weights | None, Table]:
    model, original = load(run.student), load(run.teacher)
    network = Network(model)
    if not network.weights:
        raise UsageError("distill: the network has no weights to train; those that are inputs have to be frozen first "
                         "(the pass freeze)")  # fmt: skip
    _check_pair(original, model)
    pairs = shared(original, model) if run.settings.features else []
    state = (checkpoint.read(run.checkpoints, run.key) if run.checkpoints else None) or begin(network)
    if state.epoch:
        context.say(f"distill: going on after epoch {state.epoch} of {run.settings.epochs}")
    job = Job(
        network,
        Teacher(original, [pair[0] for pair in pairs], torch.get_num_threads()),
        Samples(run.data, run.settings.samples),
        run.settings,
        size=interface(model).batch,
        features=[pair[1] for pair in pairs],
        judge=_judge(context, network, model, run.student.with_name("trained.onnx")),
        say=context.say,
        keep=lambda held: checkpoint.write(run.checkpoints, run.key, held) if run.checkpoints else None,
    )
    found = train(job, state)
    return None if state.best_epoch == 0 else found, _table(context, state)


def _judge(context: Context, network: Network, model: Model, path: Path) -> Callable[[Weights], float] | None:
    """How much worse than the original the model is with other weights. It is written to `path` each time."""
    goal = context.goal
    if goal is None:
        return None

    def judge(weights: Weights) -> float:
        for constant, values in network.arrays(weights).items():
            constant.values = values
        model.save(path)
        return goal.loss(path)

    return judge


def _table(context: Context, state: State) -> Table:
    metric = context.goal.metric if context.goal else "the metric"
    rows = tuple((number, loss, score) for number, (loss, score) in enumerate(state.losses, 1))
    kept = f"The weights after epoch {state.best_epoch} were kept." if state.best_epoch > 0 else ""
    return Table("distill", ("epoch", "loss", f"lost in {metric}"), rows, kept)


def _check_pair(teacher: Model, student: Model) -> None:
    """Raises UsageError unless both take the same inputs and give outputs of the same names."""
    one, other = interface(teacher, "the teacher"), interface(student, "the network")
    same_inputs(one, other)
    missing = [port.name for port in other.outputs if port.name not in {held.name for held in one.outputs}]
    if missing:
        raise UsageError(f"distill: the teacher does not give {', '.join(missing)}, which the network gives")


def _verdict(context: Context, arrays: dict[Constant, Array]) -> Verdict:
    """Whether the model with other weights gives finite numbers where it did, on samples."""
    if not context.checks or context.calibration is None:
        return Verdict(Status.OFF)
    feeds = [batch.feeds for batch in context.calibration.batches(None, 1)]
    with tempfile.TemporaryDirectory(prefix="graphopt-") as folder:
        before, after = (Path(folder) / f"{name}.onnx" for name in ("before", "after"))
        context.model.save(before)
        held = {constant: constant.stored for constant in arrays}
        for constant, values in arrays.items():
            constant.values = values
        try:
            context.model.save(after)
        finally:
            for constant, values in held.items():
                constant.values = values
        result = context.runner.check_pair(str(before), str(after), feeds, Judged(), limit_s=RUN_SECONDS)
    return Verdict(STATUS[result.verdict], detail=result.reason)
