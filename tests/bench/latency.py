"""Latency of networks of the usual sizes beside every optimiser: `python -m tests.bench latency [OPTIONS]`.

Each setting of a network (threads, batch, sequence) is measured alone, and its times are added to a file in FOLDER:
what is there already is not measured again, so a long run may be had in pieces. `--summary` measures nothing and
prints the tables. All models of a setting run in one process, in rounds in which each has a turn, in an order that is
drawn anew; ratios and their intervals are over rounds, and the best other tool is the one with the least median time.
What ONNX Runtime makes the same program of, up to names, is timed once. `graphopt` is what we make for a CPU,
`graphopt_ort` what we make for the default target.

`--quick` measures some of the settings, each for a shorter time, and says which it leaves out: 40 minutes on a quiet
machine after `--prepare`, which has every tool write its models.
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

ORIGINAL, OURS, DEFAULT = "original", "graphopt", "graphopt_ort"
FEWEST, LEAST = 6, 2
"""Rounds of a setting, fewer of which give no interval, and rounds where there is no time for so many."""
LONG_S = 2.0
"""A run that takes longer needs no others to warm up."""
QUICK_S, QUICK_LONGEST_S = 15.0, 60.0
"""What a setting takes, and may take, of a quick run."""
QUICK = frozenset({(threads, 1, length) for threads in (1, 2) for length in (0, 16, 128)} | {(1, 8, 0), (1, 8, 16)})
"""Threads, batch and sequence of the settings that it measures."""


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
    parser.add_argument("--quick", action="store_true", help="measure some of the settings, for a shorter time")
    parser.add_argument("--prepare", action="store_true", help="only have every tool write its models")
    parser.add_argument("--summary", action="store_true", help="only print the tables of what was measured")
    options = parser.parse_args(arguments)
    if options.busy:
        options.threads = [1]
    if options.quick:
        options.seconds, options.longest = QUICK_S, QUICK_LONGEST_S
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.prepare:
        for name in options.models:
            files, failed = _prepared(name, options.folder)
            same = _alike(files)
            print(f"{name}: {len(files)} models, {len(same)} of them programs of others; failed: {failed}", flush=True)
    elif not options.summary:
        _measure(options)
    if not options.prepare:
        _tables([one for one in _read(options.folder) if one.setting.network in options.models])


def settings(options: argparse.Namespace) -> Iterator[Setting]:
    """Those that are asked for."""
    every = list(_settings(options))
    left = [one for one in every if options.quick and (one.threads, one.batch, one.sequence) not in QUICK]
    if not left:
        return iter(every)
    kinds = dict.fromkeys(f"{one.threads} x {one.batch} x {one.sequence or '-'}" for one in left)
    print(
        f"left out, {len(left)} of {len(every)} settings (threads x batch x sequence): {', '.join(kinds)}", flush=True
    )
    return (one for one in every if one not in left)


def _settings(options: argparse.Namespace) -> Iterator[Setting]:
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
                if tool in (OURS, DEFAULT):
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
    same = _alike(files)
    names = [tool for tool in files if tool not in same]
    runs = [_loaded(files[tool], setting) for tool in names]
    each = [_warmed(run, clock) for run in runs]
    wanted = pace(each, limit)
    rounds = max(wanted.rounds, LEAST, min(FEWEST, int(longest / sum(each))))
    times = interleaved(runs, Pace(wanted.runs, rounds), np.random.default_rng(0), clock)
    fastest = {name: turns.min(1).tolist() for name, turns in zip(names, times, strict=True)}
    return Measured(setting, fastest, failed, same)


def _alike(files: Mapping[str, Path]) -> dict[str, str]:
    """The tools of whose models the runtime makes the same program as of an earlier one's, and which that is."""
    first: dict[str, str] = {}
    for tool, path in files.items():
        first.setdefault(_fingerprint(path), tool)
    return {tool: one for tool, path in files.items() if (one := first[_fingerprint(path)]) != tool}


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
    return [name for name in every if name not in (ORIGINAL, OURS, DEFAULT)]


def _best(found: Measured) -> str:
    return min(_peers(found), key=lambda name: float(np.median(found.seconds[found.same.get(name, name)])))


def _cells(one: Ratio) -> str:
    ends = f"{one.low:.3f} to {one.high:.3f}" if one.low else "too few rounds"
    return f"{one.value:.3f} ({ends})"


def _row(found: Measured) -> str:
    setting, best = found.setting, _best(found)
    milliseconds = float(np.median(found.seconds[ORIGINAL])) * 1000
    own, rival, default = (_cells(_ratio(found, *pair)) for pair in ((OURS, ORIGINAL), (OURS, best), (DEFAULT, OURS)))
    cells = (setting.network, setting.threads, setting.batch, setting.sequence or "", f"{milliseconds:.1f}", own, best)
    return "| " + " | ".join(str(cell) for cell in (*cells, rival, default, len(found.seconds[ORIGINAL]))) + " |"


def _tables(every: Sequence[Measured]) -> None:
    """All settings, what failed, and the summaries."""
    if not every:
        print("nothing is measured yet")
        return
    columns = ("network", "threads", "batch", "sequence", "original ms", "ours / original", "best other", "ours / it",
               "ours by default / ours", "rounds")  # fmt: skip
    print(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for found in every:
        print(_row(found))
    failures = {(one.setting.network, tool, text) for one in every for tool, text in one.failed.items()}
    for network, tool, text in sorted(failures):
        print(f"{tool} failed on {network}: {text}")
    _by_tool(every)
    _by_network(every)


def _by_tool(every: Sequence[Measured]) -> None:
    """How many times as fast as the original each tool is, and as ours on the settings that it has."""
    print("\n| tool | settings | times as fast as the original | times as fast as ours | slower than the original |")
    print("|---" * 5 + "|")
    for tool in (OURS, DEFAULT, *dict.fromkeys(peer for one in every for peer in _peers(one))):
        ran = [one for one in every if tool in one.seconds or tool in one.same]
        to = [_ratio(one, tool, ORIGINAL) for one in ran]
        means = (_mean(to), _mean([_ratio(one, tool, OURS) for one in ran]))
        slower = sum(one.low > 1 for one in to)
        print(f"| {tool} | {len(ran)} | {means[0]:.3f} | {means[1]:.3f} | {slower} |")
    best = _mean([_ratio(one, _best(one), OURS) for one in every])
    print(f"| the best other of each setting | {len(every)} | | {best:.3f} | |")


def _mean(ratios: Sequence[Ratio]) -> float:
    """The geometric mean of the speeds that belong to ratios of times."""
    return math.exp(-float(np.mean([math.log(one.value) for one in ratios])))


def _by_network(every: Sequence[Measured]) -> None:
    """The worst ratios of each network."""
    print("\n| network | settings | worst, ours / original | worst, ours / best other | slower than it, beyond noise |")
    print("|---" * 5 + "|")
    for network in dict.fromkeys(one.setting.network for one in every):
        own = [one for one in every if one.setting.network == network]
        rivals = [(_ratio(one, OURS, _best(one)), one) for one in own]
        first = max((_ratio(one, OURS, ORIGINAL) for one in own), key=lambda one: one.value)
        second, where = max(rivals, key=lambda pair: pair[0].value)
        slower = sum(one.low > 1 for one, _ in rivals)
        place = f"{_cells(second)} {_best(where)}, {where.setting.threads} x {where.setting.batch}"
        place += f" x {where.setting.sequence}" if where.setting.sequence else ""
        print(f"| {network} | {len(own)} | {_cells(first)} | {place} | {slower} |")


if __name__ == "__main__":
    main()
