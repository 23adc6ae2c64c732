"""Reports made by hand, with everything in them that a report can say."""

from __future__ import annotations

from dataclasses import replace

from graphopt.pipeline.journal import Entry, Status, StepRecord, Verdict
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
