"""Events of the runtime's profile, summed up by operator."""

from __future__ import annotations

import pytest

from graphopt.measure.profile import OperatorTime, summed


def run(begin):
    return {"cat": "Session", "name": "model_run", "ts": begin, "dur": 100}


def node(operator, begin, duration, name=""):
    arguments = {"op_name": operator, "provider": "CPUExecutionProvider"}
    return {
        "cat": "Node",
        "name": f"{name or operator}_kernel_time",
        "ts": begin,
        "dur": duration,
        "args": arguments,
    }


def test_nodes_of_an_operator_are_added_up():
    events = [run(0), node("Conv", 1, 10, "a"), node("Conv", 20, 5, "b"), node("Relu", 30, 2)]
    conv, relu = summed(events)
    assert conv == OperatorTime("Conv", "cpu", 2, pytest.approx(15e-6), {"a": 10e-6, "b": 5e-6})
    assert relu == OperatorTime("Relu", "cpu", 1, 2e-6, {"Relu": 2e-6})


def test_of_several_runs_the_median_counts():
    events = [run(0), node("Conv", 1, 10), run(100), node("Conv", 101, 14), run(200), node("Conv", 201, 90)]
    assert summed(events)[0].seconds == 14e-6


def test_each_node_counts_by_its_own_median():
    runs = [(1, 2, 30), (100, 20, 3), (200, 2, 3)]
    events = [run(begin) for begin, _, _ in runs]
    for begin, one, other in runs:
        events += [node("Conv", begin, one, "a"), node("Conv", begin + 50, other, "b")]
    assert summed(events)[0].by_node == {"a": 2e-6, "b": 3e-6}


def test_runs_to_warm_up_do_not_count():
    assert summed([run(0), node("Conv", 1, 90), run(100), node("Conv", 101, 10)], skip=1)[0].seconds == 10e-6


def test_an_operator_of_which_runs_have_none_takes_no_time_in_most():
    assert summed([run(0), node("If", 1, 9), run(100), run(200)])[0].seconds == 0


def test_what_runs_inside_an_operator_counts_on_its_own():
    events = [run(0), node("MatMul", 12, 30), node("Add", 42, 8), node("Loop", 10, 50), node("Relu", 60, 5)]
    found = {row.operator: row.seconds for row in summed(events)}
    assert found == pytest.approx({"Loop": 12e-6, "MatMul": 30e-6, "Add": 8e-6, "Relu": 5e-6})


def test_loads_are_no_runs():
    assert summed([{"cat": "Session", "name": "model_loading_uri", "ts": 0, "dur": 3}]) == ()


def test_other_times_of_nodes_are_not_kernels():
    fence = node("Conv", 1, 10) | {"name": "Conv_fence_before"}
    assert summed([run(0), fence]) == ()
