"""The figures that compression is judged by, and the rows that every report begins with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphopt.measure.bootstrap import Estimate
from graphopt.measure.evaluate import Score
from graphopt.measure.statistics import Ratio
from graphopt.pipeline.journal import Status, Verdict
from graphopt.report import kept, markdown, text
from graphopt.report.headline import TIMES, accuracy, compression, speed
from graphopt.report.quantities import quantities
from tests.report.reports import BENCH, CLEAN, DIRTY, EVALUATION, FULL, VERIFIED


def ratio_of(ratio):
    """A benchmark in which the second model has this ratio to the first."""
    (setting,) = BENCH.settings
    first, second = setting.models
    return replace(BENCH, settings=(replace(setting, models=(first, replace(second, ratio=ratio))),))


def changed(difference):
    """An evaluation in which the second model differs from the first so much."""
    first, second = EVALUATION.models
    scores = (Score("top1", Estimate(0.9), difference), second.scores[1])
    return replace(EVALUATION, models=(first, replace(second, scores=scores)))


def test_files_are_compared_or_else_weights():
    assert compression(FULL).notes == ("2.1 MB → 1.1 MB on disk",)
    assert compression(CLEAN).notes == ("2.0 MB → 1.0 MB of weights",)


@pytest.mark.parametrize(
    ("after", "value", "grade"),
    [(1_050_000, "2.00", "good"), (2_099_000, "1.00", ""), (4_200_000, "0.50", "bad"), (100_000, "21.0", "good")],
)
def test_compression_is_how_many_times_smaller_the_result_is(after, value, grade):
    found = compression(replace(FULL, after=replace(FULL.after, file_bytes=after)))
    assert (found.value, found.grade) == (value + TIMES, grade)


@pytest.mark.parametrize(
    ("ratio", "value", "grade", "noise"),
    [
        (Ratio(0.5, 0.4, 0.6), "2.00", "good", False),
        (Ratio(1.25, 1.2, 1.3), "0.80", "bad", False),
        (Ratio(0.9, 0.8, 1.1), "1.11", "", True),
    ],
)
def test_a_speed_up_is_one_beyond_noise(ratio, value, grade, noise):
    found = speed(ratio_of(ratio))
    assert (found.value, found.grade) == (value + TIMES, grade)
    assert ("no difference beyond noise" in found.notes) == noise


@pytest.mark.parametrize(
    ("difference", "value", "grade", "noise"),
    [
        (Estimate(-0.02, -0.03, -0.01), "-2.00 points", "bad", False),
        (Estimate(0.02, 0.01, 0.03), "+2.00 points", "good", False),
        (Estimate(-0.005, -0.02, 0.01), "-0.50 points", "", True),
        (Estimate(0.0, 0.0, 0.0), "no change", "", False),
        (Estimate(-0.5), "-50.00 points", "", True),
    ],
)
def test_a_change_of_accuracy_has_its_interval(difference, value, grade, noise):
    found = accuracy(changed(difference))
    assert (found.value, found.grade) == (value, grade)
    assert ("no difference beyond noise" in found.notes) == noise


def test_a_metric_that_compares_with_the_original_has_no_difference():
    first, second = EVALUATION.models
    only = replace(
        EVALUATION,
        metrics=EVALUATION.metrics[1:],
        models=(replace(first, scores=first.scores[1:]), replace(second, scores=second.scores[1:])),
    )
    assert (accuracy(only).value, accuracy(only).notes[0]) == ("41.0 dB", "sqnr, which compares with the original")


def test_nothing_measured_says_what_to_type():
    for found, option in ((speed(None), "--measure"), (accuracy(None), "--data DATA --metric NAME")):
        assert (found.value, found.grade) == ("not measured", "none")
        assert option in found.notes[0]


def test_a_benchmark_of_one_model_has_no_speed_up():
    (setting,) = BENCH.settings
    alone = replace(BENCH, settings=(replace(setting, models=setting.models[:1]),))
    assert speed(alone).value == "not measured"


def test_rows_of_every_report():
    rows = {row.name: (row.before, row.after, row.change, row.note, row.good) for row in quantities(FULL)}
    assert rows == {
        "nodes": ("10", "5", "-50 %", "", True),
        "with subgraphs": ("12", "7", "-42 %", "", True),
        "weights": ("2.0 MB", "1.0 MB", "-50 %", "", True),
        "file": ("2.1 MB", "1.1 MB", "-50 %", "", True),
        "latency": ("2.00 ms", "1.00 ms", f"2.00{TIMES} as fast", f"(1.67{TIMES} to 2.50{TIMES})", True),
        "top1": ("90.00 %", "88.00 %", "-2.00 points", "(-3.00 to -1.00)", False),
        "sqnr": ("", "41.0 dB", "", "(40.0 to 42.0)", None),
    }


def test_they_are_in_the_terminal_and_in_markdown():
    said, page = text.render(FULL), markdown.render(FULL)
    assert f"latency         2.00 ms  ->  1.00 ms  2.00{TIMES} as fast  (1.67{TIMES} to 2.50{TIMES})" in said
    assert "| Compression ratio | Speed-up | Accuracy change |" in page.splitlines()[2]
    assert f"| latency | 2.00 ms | 1.00 ms | 2.00{TIMES} as fast (1.67{TIMES} to 2.50{TIMES}) |" in page
    assert "| conv (Conv) | 500 | 90,000 | 800 µs | conv\\_batchnorm |" in page
    assert "| odd (Thing) | 0 | unknown |  |  |" in page


def test_rules_tell_their_verdicts_and_their_largest_error():
    low, high, higher = (replace(VERIFIED, verdict=Verdict(Status.VERIFIED, error)) for error in (1.0, 3.0, 33.0))
    lossy = [replace(one, rule="q", contract="lossy(sqnr >= 30)") for one in (low, higher)]
    found = kept.by_rule(replace(DIRTY, rewrites=(low, high, *lossy)))
    assert [(one.rule, one.count, one.verdicts, one.worst, one.bound) for one in found] == [
        ("conv_batchnorm", 2, {"verified": 2}, 3.0, 64.0),
        ("q", 2, {"verified": 2}, 1.0, 30.0),
        ("bad", 1, {"rolled back": 1}, None, 64.0),
    ]
