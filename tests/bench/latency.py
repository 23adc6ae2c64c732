"""Latency of networks of the usual sizes beside every optimiser: `python -m tests.bench latency [OPTIONS]`.

Each setting of a network (threads, batch, sequence) is measured alone, and its times are added to a file in FOLDER:
what is there already is not measured again, so a long run may be had in pieces. `--summary` measures nothing and
prints the tables. All models of a setting run in one process, in rounds in which each has a turn, in an order that is
drawn anew; ratios and their intervals are over rounds, and the best other tool is the one with the least median time.
What ONNX Runtime makes the same program of, up to names, is timed once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx

from graphopt.measure.latency import Clock, Pace, estimate, interleaved, pace, warm
from graphopt.measure.statistics import Ratio, ratio
from tests.bench import full_size, mobile, sequences, vision
from tests.bench.optimisers import Kind, tools
from tests.bench.same_program import fingerprint

ORIGINAL, OURS = "original", "graphopt"
FEWEST, LEAST = 6, 2
"""Rounds of a setting, fewer of which give no interval, and rounds where there is no time for so many."""
LONG_S = 2.0
"""A run that takes longer needs no others to warm up."""


@dataclass(frozen=True)
class Network:
    """make: writes the model. kind: what the tool for transformers is told. free: whether sequences have any length."""

    make: Callable[[], onnx.ModelProto]
    kind: Kind | None = None
    free: bool = False


NETWORKS: Mapping[str, Network] = {
    "bert_base": Network(full_size.bert_base, Kind("bert", 12, 768), free=True),
    "vit_b": Network(vision.vit_b, Kind("vit", 12, 768)),
    "gpt2": Network(full_size.gpt2, Kind("gpt2", 12, 768), free=True),
    "llama": Network(sequences.llama, Kind("gpt2", 32, 2048), free=True),
    "whisper_tiny": Network(sequences.whisper_tiny, Kind("bart", 6, 384)),
    "swin_t": Network(vision.swin_t, Kind("swin", 3, 96)),
    "convnext_t": Network(vision.convnext_t),
    "mobilenet_v3": Network(mobile.mobilenet_v3_large),
    "resnet50": Network(full_size.resnet50),
}


@dataclass(frozen=True)
class Setting:
    """sequence: 0 where the network has none."""

    network: str
    threads: int
    batch: int
    sequence: int


@dataclass(frozen=True)
class Measured:
    """seconds: by tool, of the fastest run of each round. failed: errors of tools. same: what tools equal."""

    setting: Setting
    seconds: Mapping[str, Sequence[float]]
    failed: Mapping[str, str]
    same: Mapping[str, str]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench latency", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--sequences", nargs="+", type=int, default=[16, 128, 512])
    parser.add_argument("--folder", type=Path, default=Path("build/latency"))
    parser.add_argument("--seconds", type=float, default=40.0, help="for a setting, more where six rounds need it")
    parser.add_argument("--longest", type=float, default=240.0, help="seconds a setting may take in all")
    parser.add_argument("--total", type=float, default=math.inf, help="begin no setting after so many seconds")
    parser.add_argument("--busy", action="store_true", help="other programs run: count processor time, on one thread")
    parser.add_argument("--prepare", action="store_true", help="only have every tool write its models")
    parser.add_argument("--summary", action="store_true", help="only print the tables of what was measured")
    options = parser.parse_args(arguments)
    if options.busy:
        options.threads = [1]
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.prepare:
        for name in options.models:
            _prepared(name, options.folder)
    elif not options.summary:
        _measure(options)
    if not options.prepare:
        _tables([one for one in _read(options.folder) if one.setting.network in options.models])


def settings(options: argparse.Namespace) -> Iterator[Setting]:
    for name in options.models:
        for sequence in options.sequences if NETWORKS[name].free else [0]:
            for batch in options.batches:
                for threads in options.threads:
                    yield Setting(name, threads, batch, sequence)


def _measure(options: argparse.Namespace) -> None:
    began = time.perf_counter()
    done = {one.setting for one in _read(options.folder)}
    for setting in settings(options):
        if setting in done or time.perf_counter() - began > options.total:
            continue
        clock = time.thread_time if options.busy else time.perf_counter
        found = measured(setting, options.folder, (options.seconds, options.longest), clock)
        with (options.folder / "times.jsonl").open("a") as file:
            file.write(json.dumps(asdict(found)) + "\n")
        print(_row(found), flush=True)


def _read(folder: Path) -> list[Measured]:
    path = folder / "times.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return [Measured(**{**record, "setting": Setting(**record["setting"])}) for record in records]


def _prepared(name: str, folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """The files of a network by tool, made if they are not there, and the errors of tools that failed."""
    network, place = NETWORKS[name], folder / name
    place.mkdir(exist_ok=True)
    source = place / f"{ORIGINAL}.onnx"
    if not source.exists():
        onnx.save(network.make(), source)
    files, failed = {ORIGINAL: source}, {}
    for tool, optimise in tools(network.kind).items():
        target, error = place / f"{tool}.onnx", place / f"{tool}.error"
        if not target.exists() and not error.exists():
            unfinished = place / "unfinished.onnx"
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    optimise(source, unfinished)
                unfinished.rename(target)
            except Exception as fault:  # another tool's fault is a result, our own is not
                if tool == OURS:
                    raise
                error.write_text(f"{type(fault).__name__}: {fault}"[:300])
        if error.exists():
            failed[tool] = error.read_text()
        else:
            files[tool] = target
    return files, failed


def measured(setting: Setting, folder: Path, limits: tuple[float, float], clock: Clock) -> Measured:
    """Time every program that is another one than those before it, for so many seconds, and at most so many."""
    limit, longest = limits
    files, failed = _prepared(setting.network, folder)
    unlike: dict[str, str] = {}
    same: dict[str, str] = {}
    for tool, path in files.items():
        first = unlike.setdefault(_fingerprint(path), tool)
        if first != tool:
            same[tool] = first
    names = list(unlike.values())
    runs = [_loaded(files[tool], setting) for tool in names]
    each = [_warmed(run, clock) for run in runs]
    wanted = pace(each, limit)
    rounds = max(wanted.rounds, LEAST, min(FEWEST, int(longest / sum(each))))
    times = interleaved(runs, Pace(wanted.runs, rounds), np.random.default_rng(0), clock)
    fastest = {name: turns.min(1).tolist() for name, turns in zip(names, times, strict=True)}
    return Measured(setting, fastest, failed, same)


def _warmed(run: Callable[[], object], clock: Clock) -> float:
    """Seconds that a run takes, more or less, once it is warm."""
    began = clock()
    run()
    first = clock() - began
    if first > LONG_S:
        return first
    warm(run)
    return estimate(run, clock)


def _fingerprint(path: Path) -> str:
    """What `fingerprint` says, which is kept beside the file."""
    kept = path.with_suffix(".program")
    if not kept.exists():
        kept.write_text(fingerprint(path))
    return kept.read_text()


def _loaded(path: Path, setting: Setting) -> Callable[[], object]:
    """A session with the runtime's own optimisations, and inputs of the setting's sizes."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = setting.threads
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    free = {"batch": setting.batch, "sequence": setting.sequence}
    feeds = {}
    for tensor in session.get_inputs():
        shape = [dim if isinstance(dim, int) else free[dim] for dim in tensor.shape]
        given = rng.standard_normal(shape, np.float32) if "float" in tensor.type else rng.integers(0, 2, shape)
        feeds[tensor.name] = np.ones_like(given) if "mask" in tensor.name else given
    return lambda: session.run(None, feeds)


def _ratio(found: Measured, tool: str, to: str) -> Ratio:
    """How many times as long as `to` the tool's model takes."""
    above, below = (np.asarray(found.seconds[found.same.get(name, name)]) for name in (tool, to))
    return ratio(np.log(above / below).tolist())


def _peers(found: Measured) -> list[str]:
    every = [*found.seconds, *found.same]
    return [name for name in every if name not in (ORIGINAL, OURS)]


def _best(found: Measured) -> str:
    return min(_peers(found), key=lambda name: float(np.median(found.seconds[found.same.get(name, name)])))


def _cells(one: Ratio) -> str:
    ends = f"{one.low:.3f} to {one.high:.3f}" if one.low else "too few rounds"
    return f"{one.value:.3f} ({ends})"


def _row(found: Measured) -> str:
    setting, best = found.setting, _best(found)
    milliseconds = float(np.median(found.seconds[ORIGINAL])) * 1000
    own, rival = (_cells(_ratio(found, OURS, to)) for to in (ORIGINAL, best))
    cells = (setting.network, setting.threads, setting.batch, setting.sequence or "", f"{milliseconds:.1f}", own, best)
    return "| " + " | ".join(str(cell) for cell in (*cells, rival, len(found.seconds[ORIGINAL]))) + " |"


def _tables(every: Sequence[Measured]) -> None:
    """All settings, what failed, and the summary."""
    if not every:
        print("nothing is measured yet")
        return
    print("| network | threads | batch | sequence | original ms | ours / original | best other | ours / it | rounds |")
    print("|---" * 9 + "|")
    for found in every:
        print(_row(found))
    failures = {(one.setting.network, tool, text) for one in every for tool, text in one.failed.items()}
    for network, tool, text in sorted(failures):
        print(f"{tool} failed on {network}: {text}")
    own = [_ratio(one, OURS, ORIGINAL) for one in every]
    mean = math.exp(-float(np.mean([math.log(one.value) for one in own])))
    rivals = [(_ratio(one, OURS, _best(one)), one) for one in every]
    worst, where = max(rivals, key=lambda pair: pair[0].value)
    print(f"\n{len(every)} settings: {mean:.3f} times as fast as the original (geometric mean).")
    print(f"Slower than the original beyond noise: {sum(one.low > 1 for one in own)}; than the best other tool: "
          f"{sum(one.low > 1 for one, _ in rivals)}.")  # fmt: skip
    print(f"The worst ratio to the best other tool: {_cells(worst)}, {where.setting} against {_best(where)}.")


if __name__ == "__main__":
    main()
