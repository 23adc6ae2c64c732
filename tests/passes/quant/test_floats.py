"""What stayed float, from a profile of the runtime."""

from passes.quant.floats import COLUMNS, NO_KERNEL, Executed, summed, table


def event(operator, name, micros, kind):
    arguments = {"op_name": operator, "output_type_shape": [{kind: [1, 8]}]}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": micros, "args": arguments}


EVENTS = [
    {"cat": "Session", "name": "model_run", "dur": 999, "args": {}},
    *[event("QLinearConv", "conv", micros, "uint8") for micros in (90, 70, 50, 50, 50)],
    *[event("DequantizeLinear", "up", 10, "float")] * 5,
    *[event("Elu", "elu", 30, "float")] * 5,
    *[event("QGemm", "head", 10, "float")] * 5,
]


def test_each_node_counts_by_the_median_of_its_runs_without_the_first():
    assert summed(EVENTS)[0] == Executed("QLinearConv", "conv", 50e-6, floats=False)


def test_conversions_and_kernels_that_rescale_their_sums_are_not_float():
    assert [node.name for node in summed(EVENTS) if node.floats] == ["elu"]


def test_the_table_has_shares_and_reasons():
    found = table(summed(EVENTS), {})
    assert found.rows == (("Elu", 1, "30.0%", "elu", NO_KERNEL),)
    assert len(found.columns) == len(found.rows[0]) == len(COLUMNS)
    assert found.text.startswith("30.0% of the time on this machine is spent in floats, 10.0% in conversions (1)")
    assert table(summed(EVENTS), {"elu": "it was left out"}).rows[0][-1] == "it was left out"


def test_the_same_operator_with_the_same_reason_is_one_row():
    nodes = [Executed("Elu", f"elu{i}", 1e-6, floats=True) for i in range(3)]
    assert [row[:3] for row in table(nodes, {"elu1": "other"}).rows] == [("Elu", 2, "66.7%"), ("Elu", 1, "33.3%")]
