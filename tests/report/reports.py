"""Reports made by hand, with everything in them that a report can say."""

from __future__ import annotations

import math
from dataclasses import replace

from graphopt.budget.record import Budgeted, Cost, Figure, Limit
from graphopt.measure.bootstrap import Estimate
from graphopt.measure.environment import Environment
from graphopt.measure.evaluate import Evaluation, Measure, Score, Scored
from graphopt.measure.profile import OperatorTime
from graphopt.measure.record import Bench, Measured, Setting
from graphopt.measure.statistics import Latency, Ratio
from graphopt.pipeline.journal import Entry, Status, StepRecord, Verdict
from graphopt.report.layers import Layer
from graphopt.report.record import Report, Size
from graphopt.rewrite.driver import Refusal


def entry(rule: str, place: str, status: Status, detail: str = "", **extra: object) -> Entry:
    return Entry(0, "fuse", rule, place, "close(64)", Verdict(status, detail=detail, **extra))


VERIFIED = entry("conv_batchnorm", "BatchNormalization b", Status.VERIFIED)
EVALUATED = entry("constant", "Add c", Status.EVALUATED)
UNVERIFIED = entry("thing", "Thing t", Status.UNVERIFIED, "nothing can run it")
WRONG = entry("bad", "Conv w", Status.WRONG, "1 became 2", reproducer="out.reproducers/bad-1")

CLEAN = Report(
    model="m.onnx",
    pipeline="fold,fix(fuse)",
    level="region",
    before=Size(10, 12, 2_000_000, {"": 17}, {"Conv": 5, "BatchNormalization": 5, "If": 1, "Add": 1}),
    after=Size(5, 7, 1_000_000, {"": 17}, {"Conv": 5, "If": 1, "Add": 1}),
    steps=(
        StepRecord("fold", 10, 9, 0.5, {"constant": 1}),
        StepRecord("fuse", 9, 6, 1.0, {"conv_batchnorm": 3}),
        StepRecord("fuse", 6, 5, 0.25, {"conv_batchnorm": 1}),
        StepRecord("idle", 5, 5, 0.25, {}),
    ),
    rewrites=(EVALUATED, VERIFIED, VERIFIED),
    rolled_back=(),
    unverified=(),
    whole=Verdict(Status.VERIFIED, 2.5),
    refusals=(),
    notes=(),
    contract="close(128)",
    seconds=4.0,
    regions_checked=1,
    versions={"onnx": "1.2.3"},
)
DIRTY = replace(
    CLEAN,
    rewrites=(*CLEAN.rewrites, UNVERIFIED),
    rolled_back=(WRONG,),
    unverified=(UNVERIFIED,),
    whole=Verdict(Status.UNVERIFIED, detail="the model draws random numbers"),
    refusals=(
        Refusal("gelu", "Mul m", "Div d", 5, "expected Erf"),
        Refusal("gelu", "Mul n", "Div e", 5, "expected Erf"),
        Refusal("shallow", "Add a", "Add a", 2, "not zero"),
        Refusal("conv_batchnorm", "Conv x", "Conv x", 6, "in training mode"),
    ),
    notes=("the opset was raised",),
)

MACHINE = Environment("A processor", "x86_64", ("avx2",), 2, 4, 8_000_000_000, "Linux", 0.1, {"onnxruntime": "1.2.3"})


def latency(p50: float) -> Latency:
    return Latency(p50, 1.1 * p50, None, p50, 50, tuple(p50 * (0.9 + 0.01 * step) for step in range(21)))


def timed(model: str, p50: float, ratio: Ratio | None, operators: tuple[OperatorTime, ...]) -> Measured:
    return Measured(model, 1, 2, latency(p50), 1 / p50, ratio, 0.01, 4_000_000, 1_000_000, operators, ())


BENCH = Bench(
    models=("m.onnx", "out.onnx"),
    provider="cpu",
    feeds="drawn",
    settings=(
        Setting(1, 2, {"x": "float[1, 4]"}, {"n": 1}, (), 8, 80, (
            timed("m.onnx", 0.002, None, (
                OperatorTime("Conv", "cpu", 1, 0.001, {"conv": 0.001}),
                OperatorTime("Relu", "cpu", 1, 2e-4, {"r": 2e-4}),
            )),
            timed("out.onnx", 0.001, Ratio(0.5, 0.4, 0.6), (OperatorTime("Conv", "cpu", 1, 8e-4, {"conv": 8e-4}),)),
        )),
    ),
    environment=MACHINE,
    seed=0,
    seconds=10.0,
)  # fmt: skip
EVALUATION = Evaluation(
    data="val.npz",
    samples=200,
    metrics=(
        Measure("top1", "%", higher_is_better=True, relative=False),
        Measure("sqnr", "dB", higher_is_better=True, relative=True),
    ),
    models=(
        Scored("m.onnx", (Score("top1", Estimate(0.90, 0.85, 0.95), None), Score("sqnr", Estimate(math.inf), None))),
        Scored(
            "out.onnx",
            (
                Score("top1", Estimate(0.88, 0.83, 0.93), Estimate(-0.02, -0.03, -0.01)),
                Score("sqnr", Estimate(41.0, 40.0, 42.0), None),
            ),
        ),
    ),
    reference="m.onnx",
    provider="cpu",
    threads=2,
    seed=0,
    left_to_cpu={},
    seconds=1.0,
)
BUDGET = Budgeted(
    limits=(
        Limit("max-drop", "3 points", "points", 3.0, 90.0, Figure(2.0, 1.0, 3.0), met=True, metric="top1", costs=(
            Cost("fold", "", "", "max-drop", Figure.exactly(0.0)),
            Cost("fuse", "", "", "max-drop", Figure(4.0, 3.5, 4.5)),
            Cost("broken", "", "", "max-drop", Figure.exactly(math.inf)),
        )),
    ),
    left_out=(Cost("fuse", "conv_batchnorm", "BatchNormalization b", "max-drop", Figure(4.0, 3.5, 4.5)),),
    trials=3,
)  # fmt: skip
FULL = replace(
    DIRTY,
    before=replace(CLEAN.before, file_bytes=2_100_000),
    after=replace(CLEAN.after, file_bytes=1_050_000),
    layers=(
        Layer("conv", "Conv", 500, 2000, 90_000, 8e-4, None, "conv_batchnorm", ("c", "b")),
        Layer("odd", "Thing", 0, 0, None),
    ),
    environment=MACHINE,
    budget=BUDGET,
    evaluation=EVALUATION,
    bench=BENCH,
)
