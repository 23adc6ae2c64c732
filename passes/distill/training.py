"""The training loop: batches, gradients, steps, checks; each epoch a function of the seed, its number and the state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from graphopt.errors import GraphoptError
from graphopt.ir.types import Array, Tensor
from passes.distill.augment import augmented
from passes.distill.losses import Losses
from passes.distill.network.network import Network
from passes.distill.samples import Piece, Samples
from passes.distill.settings import Settings

WARM_UP = 0.05
"""The share of a training run in which the learning rate rises."""
MOST_NORM = 5.0
"""Gradients that are longer than this are shortened."""
MOMENTUM = 0.9
FOUR = 4

Weights = dict[str, torch.Tensor]


@dataclass
class State:
    """Where a run stands.

    epoch: how many are done. moments: what the optimiser remembers of each weight. best, score, best_epoch: the best
    weights that a check has found, what they scored (smaller is better), and after how many epochs. stale: checks since
    then. losses: the mean loss and the score of each epoch, the score None where nothing was checked.
    """

    epoch: int
    weights: Weights
    moments: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    best: Weights | None = None
    score: float = math.inf
    stale: int = 0
    best_epoch: int = -1
    losses: list[tuple[float, float | None]] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """A training run.

    size: the number of samples that the student was exported for, None for any. features: tensors inside it that are
    compared. judge: how bad weights are by the user's metric. say: hears how it goes. keep: takes the state after every
    epoch.
    """

    student: Network
    teacher: Callable[[Mapping[str, Array]], Mapping[str, torch.Tensor]]
    samples: Samples
    settings: Settings
    size: int | None = None
    features: Sequence[Tensor] = ()
    judge: Callable[[Weights], float] | None = None
    say: Callable[[str], None] = lambda _text: None
    keep: Callable[[State], None] = lambda _state: None


class DivergedError(GraphoptError):
    """The loss is no finite number any more."""


def rate(settings: Settings, done: float) -> float:
    """The learning rate when a share of the run is done: up in a line, then down to 0 as a cosine."""
    if done < WARM_UP:
        return settings.rate * max(done / WARM_UP, 0.01)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def begin(student: Network) -> State:
    """The state before the first epoch."""
    return State(0, {name: weight.clone() for name, weight in student.weights.items()})


def train(job: Job, state: State) -> Weights:
    """Train from a state on. The best weights that checks have found, or the last where nothing was checked.

    Raises DivergedError.
    """
    settings = job.settings
    state.weights = {name: _laid_out(weight).requires_grad_() for name, weight in state.weights.items()}
    optimizer = _optimizer(settings, state.weights, state.moments)
    losses = Losses(job.student.outputs, settings)
    wanted = _Wanted(job)
    if state.epoch == 0 and job.judge is not None:
        _check(job, state)
    while state.epoch < settings.epochs and not 0 < settings.patience <= state.stale:
        loss = _epoch(job, optimizer, losses, wanted, state)
        state.epoch += 1
        state.moments = _moments(optimizer, state.weights)
        last = state.epoch == settings.epochs
        score = _check(job, state) if job.judge and (settings.patience or last) else None
        state.losses.append((loss, score))
        seen = "" if score is None else f", {score:.4g} worse than the original"
        job.say(f"distill: epoch {state.epoch} of {settings.epochs}, loss {loss:.4g}{seen}")
        job.keep(state)
    return {name: weight.detach() for name, weight in (state.best or state.weights).items()}


def _check(job: Job, state: State) -> float:
    """Ask the user's metric, and remember the weights if they are the best so far."""
    held = {name: weight.detach().clone() for name, weight in state.weights.items()}
    score = math.inf if job.judge is None else job.judge(held)
    state.stale += 1
    if score < state.score or state.best is None:
        state.best, state.score, state.stale, state.best_epoch = held, score, 0, state.epoch
    return score


def _epoch(job: Job, optimizer: torch.optim.Optimizer, losses: Losses, wanted: _Wanted, state: State) -> float:
    """One pass over the samples. The mean loss."""
    settings, total, done = job.settings, 0.0, 0
    drawn = torch.Generator().manual_seed(
        int(np.random.SeedSequence([settings.seed, state.epoch]).generate_state(1)[0])
    )
    waiting = 0
    for number, piece, rows in _batches(job, drawn):
        share = len(rows) / max(settings.batch, len(rows))
        loss = _loss(job, losses, wanted, state.weights, (number, piece, rows), drawn)
        if not math.isfinite(loss.item()):
            raise DivergedError(f"distill: the loss is {loss.item()} in epoch {state.epoch + 1}; take a smaller rate "
                           f"(rate={settings.rate / 10:g})")  # fmt: skip
        (loss * share).backward()
        total, done, waiting = total + loss.item() * len(rows), done + len(rows), waiting + len(rows)
        if waiting >= settings.batch or done >= job.samples.count:
            _step(optimizer, state.weights, rate(settings, (state.epoch + done / job.samples.count) / settings.epochs))
            waiting = 0
    return total / max(done, 1)


def _step(optimizer: torch.optim.Optimizer, weights: Weights, learning: float) -> None:
    moved = [weight for weight in weights.values() if weight.grad is not None]
    torch.nn.utils.clip_grad_norm_(moved, MOST_NORM)
    for group in optimizer.param_groups:
        group["lr"] = learning
    optimizer.step()
    optimizer.zero_grad()


Rows = tuple[int, Piece, list[int]]


def _batches(job: Job, drawn: torch.Generator) -> Iterator[Rows]:
    """Samples in a new order, in batches that the student takes. One that was exported for a number gets no fewer."""
    for number, piece in enumerate(job.samples):
        size = 1 if piece.whole else job.size or job.settings.batch
        order = torch.randperm(len(piece), generator=drawn).tolist()
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            if len(rows) == size or job.size is None:
                yield number, piece, rows


def _loss(
    job: Job, losses: Losses, wanted: _Wanted, weights: Weights, at: Rows, drawn: torch.Generator
) -> torch.Tensor:
    number, piece, rows = at
    batch = piece.batch(rows)
    feeds = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in batch.feeds.items()}
    if job.settings.augment:
        feeds = augmented(feeds, job.settings.augment, drawn)
    goal = wanted(number, piece, rows, feeds)
    with torch.autocast("cpu", torch.bfloat16, enabled=job.settings.precision == "bfloat16"):
        found = job.student({name: _laid_out(x) for name, x in feeds.items()}, job.features, weights)
    labels = (
        torch.from_numpy(batch.labels).long().flatten() if job.settings.labels and batch.labels is not None else None
    )
    return losses(found, goal, labels)


class _Wanted:
    """What the teacher gives for a batch; asked once for each sample where samples come as they are and stay."""

    def __init__(self, job: Job) -> None:
        self._teacher, self._size = job.teacher, job.size or job.settings.batch
        self._once = not job.settings.augment and not job.features
        self._held: dict[int, tuple[Piece, dict[str, torch.Tensor]]] = {}

    def __call__(
        self, number: int, piece: Piece, rows: list[int], feeds: Mapping[str, torch.Tensor]
    ) -> Mapping[str, torch.Tensor]:
        if not self._once or piece.whole:
            return self._teacher({name: x.numpy() for name, x in feeds.items()})
        held = self._held.get(number)
        if held is None or held[0] is not piece:
            self._held[number] = held = (piece, self._all(piece))
        return {name: values[rows] for name, values in held[1].items()}

    def _all(self, piece: Piece) -> dict[str, torch.Tensor]:
        parts = [
            self._teacher(piece.batch(range(start, min(start + self._size, len(piece)))).feeds)
            for start in range(0, len(piece), self._size)
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _laid_out(x: torch.Tensor) -> torch.Tensor:
    """The same tensor, those of four axes with the channels last in memory, as the fastest convolutions want them."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == FOUR else x


def _optimizer(
    settings: Settings, parameters: Weights, moments: Mapping[str, Mapping[str, torch.Tensor]]
) -> torch.optim.Optimizer:
    held = list(parameters.values())
    made: torch.optim.Optimizer = (
        torch.optim.Adam(held, settings.rate)
        if settings.optimizer == "adam"
        else torch.optim.SGD(held, settings.rate, MOMENTUM, nesterov=True)
    )
    for name, remembered in moments.items():
        made.state[parameters[name]] = dict(remembered)
    return made


def _moments(optimizer: torch.optim.Optimizer, parameters: Weights) -> dict[str, dict[str, torch.Tensor]]:
    return {
        name: {key: value for key, value in optimizer.state[parameter].items() if isinstance(value, torch.Tensor)}
        for name, parameter in parameters.items()
        if parameter in optimizer.state
    }
