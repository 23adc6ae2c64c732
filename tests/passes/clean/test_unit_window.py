import pytest

from passes.clean import unit_pool, unit_reduction
from tests.support import fires, refuses


@pytest.mark.parametrize(
    "call",
    [
        "GlobalAveragePool(r)",
        "GlobalMaxPool(r)",
        "AveragePool<kernel_shape=[1, 1]>(r)",
        "MaxPool<kernel_shape=[1, 1]>(r)",
    ],
)
def test_pool_of_one_element(call):
    fires(unit_pool, f"m (float[N, 3, 1, 1] x) => (float[N, 3, 1, 1] y) {{ r = Neg(x)  y = {call} }}", leaves=["Neg"])


@pytest.mark.parametrize("call", ["GlobalAveragePool(r)", "MaxPool<kernel_shape=[1, 1], strides=[2, 2]>(r)"])
def test_not_of_several(call):
    refuses(
        unit_pool,
        f"m (float[N, 3, 2, 2] x) => (float[N, 3, 1, 1] y) {{ r = Neg(x)  y = {call} }}",
        reason="shape changes",
    )


def test_not_of_a_padded_window():
    text = """m (float[N, 3, 2, 2] x) => (float[N, 3, 2, 2] y)
        { r = Neg(x)  y = AveragePool<kernel_shape=[3, 3], pads=[1, 1, 1, 1]>(r) }"""
    refuses(unit_pool, text, reason="several elements")


def test_not_of_a_window_that_is_padded_by_itself():
    text = """m (float[N, 3, 2, 2] x) => (float[N, 3, 2, 2] y)
        { r = Neg(x)  y = MaxPool<kernel_shape=[3, 3], auto_pad="SAME_UPPER">(r) }"""
    refuses(unit_pool, text, reason="several elements")


def test_not_if_the_indices_are_used():
    text = """m (float[N, 3, 1, 1] x) => (float[N, 3, 1, 1] y, int64[N, 3, 1, 1] i)
        { r = Neg(x)  y, i = MaxPool<kernel_shape=[1, 1]>(r) }"""
    refuses(unit_pool, text, reason="indices")


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"])
def test_reduction_of_one_element(op):
    text = f"m (float[N, 1] x) => (float[N, 1] y) <int64[1] a = {{1}}> {{ r = Neg(x)  y = {op}(r, a) }}"
    fires(unit_reduction, text, leaves=["Neg"])


def test_reduction_of_no_axis():
    text = """m (float[N, 3] x) => (float[N, 3] y) <int64[0] a = {}>
        { r = Neg(x)  y = ReduceSum<noop_with_empty_axes=1>(r, a) }"""
    fires(unit_reduction, text, leaves=["Neg"])


@pytest.mark.parametrize("call", ["ReduceMean(r, a)", "ReduceMean<keepdims=0>(r, b)"])
def test_not_if_the_shape_changes(call):
    text = f"""m (float[N, 3, 1] x) => (float y) <int64[1] a = {{1}}, int64[1] b = {{2}}> {{
        r = Neg(x)  p = {call}  y = ReduceSum<keepdims=0>(p)
    }}"""
    refuses(unit_reduction, text, reason="shape changes")


def test_zeros_may_change_their_sign():
    text = "m (float[N, 1] x) => (float[N, 1] y) { p = Relu(x)  q = Neg(p)  y = ReduceMean<axes = [1]>(q) }"
    fires(unit_reduction, f'<ir_version: 8, opset_import: ["" : 13]> {text}', leaves=["Relu", "Neg"])
    average = text.replace("N, 1", "N, 1, 1").replace("ReduceMean<axes = [1]>", "AveragePool<kernel_shape = [1]>")
    fires(unit_pool, f'<ir_version: 8, opset_import: ["" : 13]> {average}', leaves=["Relu", "Neg"])
