"""What a benchmark says in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphopt.measure.environment import Environment
from graphopt.measure.profile import OperatorTime
from graphopt.measure.provider import Placed
from graphopt.measure.record import Bench, Measured, Setting
from graphopt.measure.statistics import Ratio, summary
from graphopt.report.bench_text import layout, spelled, verdict
from graphopt.report.style import plain

MACHINE = Environment("A Processor", "x86_64", ("avx2", "vnni"), 4, 8, 10**10, "Linux", 0.5, {"onnxruntime": "1.31.1"})
FIRST = Measured("a.onnx", 1, 4, summary([0.0123] * 100), 81.3, None, 0.2, 3_000_000, 2_000_000, (), ())
SECOND = replace(FIRST, model="b.onnx", ratio=Ratio(0.5, 0.48, 0.52), file_bytes=1_000_000)


def text(*models, machine=MACHINE, assumed=()):
    setting = Setting(1, 4, {"x": "float[1, 3]"}, dict.fromkeys(assumed, 2), assumed, 10, 200, models)
    return plain(layout(Bench(tuple(m.model for m in models), "cuda", "drawn", (setting,), machine, 0, 12.3)), 200)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (Ratio(0.5, 0.4, 0.8), "B is 2.00 (1.25 to 2.50) times as fast as A."),
        (Ratio(1.1, 1.08, 1.12), "B takes 1.10 (1.08 to 1.12) times as long as A."),
        (Ratio(1.0, 0.98, 1.02), "No difference beyond noise: B is 1.00 (0.98 to 1.02) times as fast as A."),
    ],
)
def test_what_is_faster_in_words(ratio, words):
    assert verdict(ratio, "B", "A") == words


def test_a_small_difference_gets_the_digits_that_show_it():
    assert spelled(Ratio(1.006, 1.0021, 1.0094)) == "1.006 (1.002 to 1.009)"


def test_quantiles_of_which_nothing_is_known_are_dashes():
    assert "A  12.3 ms  -  -" in text(replace(FIRST, latency=summary([0.0123]))).replace("    ", "  ")


def test_few_processes_are_believed_less():
    assert "of such intervals 97 % hold" in text(FIRST, replace(SECOND, ratio=Ratio(0.5, 0.48, 0.52, 31 / 32)))


def test_the_models_and_their_figures():
    found = text(FIRST, SECOND)
    for words in ("A  a.onnx  2.0 MB", "B  b.onnx  1.0 MB  -50 %", "batch 1, 4 threads; x float[1, 3]"):
        assert words in found
    assert "B  12.3 ms  12.3 ms  12.3 ms       81.3  200 ms  3.0 MB  2.00 (1.92 to 2.08)" in found
    assert "B is 2.00 (1.92 to 2.08) times as fast as A." in found


def test_where_and_how_it_was_measured():
    found = text(FIRST, SECOND)
    assert "200 rounds in 10 processes, 12 s; of such intervals 99 % hold the true ratio." in found
    assert "A Processor; 4 cores; avx2 vnni; load 0.5; onnxruntime 1.31.1." in found


def test_a_busy_machine_is_told():
    assert "load 3.0, so latencies are those of a busy machine" in text(FIRST, machine=replace(MACHINE, load=3.0))


def test_one_model_has_no_ratio():
    assert "interval" not in text(FIRST)


def test_sizes_that_were_made_up_are_told():
    assert "sequence=2 was made up: give the size that counts for you with --dim sequence=N." in text(
        FIRST, assumed=("sequence",)
    )


def test_nodes_that_went_to_the_cpu_are_told():
    left = replace(FIRST, left_to_cpu=tuple(Placed("Conv", f"c{i}") for i in range(7)))
    assert "cuda left 7 nodes of A to the CPU: Conv c0, Conv c1, Conv c2, Conv c3, Conv c4 and 2 more." in text(left)


def test_operators_side_by_side():
    def row(name, seconds):
        return OperatorTime(name, "cpu", 3, seconds, {})

    one = replace(FIRST, operators=(row("Conv", 0.005), row("Relu", 0.001)))
    other = replace(SECOND, operators=(row("FusedConv", 0.004),))
    lines = [line.split() for line in text(one, other).splitlines()]
    assert ["Conv", "3", "5.00", "ms"] in lines
    assert ["FusedConv", "3", "4.00", "ms"] in lines
