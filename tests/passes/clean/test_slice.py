import pytest

from passes.clean import slice_chain, whole_slice
from tests.support import apply, fires, refuses

HEAD = '<ir_version: 4, opset_import: ["" : 9]>'


def single(starts, ends, axes="{0}", steps="{1}", shape="5, 4"):
    n = axes.count(",") + 1
    return f"""m (float[{shape}] x) => (float[A, B] y)
    <int64[{n}] starts = {starts}, int64[{n}] ends = {ends}, int64[{n}] axes = {axes}, int64[{n}] steps = {steps}> {{
        r = Relu(x)
        y = Slice(r, starts, ends, axes, steps)
    }}"""


@pytest.mark.parametrize(
    "text",
    [
        single("{0}", "{5}"),
        single("{-5}", "{100}"),
        single("{0, 0}", "{4, 5}", "{1, 0}", "{1, 1}"),
        single("{0}", "{9223372036854775807}", shape="N, 4"),
        single("{0}", "{2147483647}", "{1}", shape="N, M"),
        f"{HEAD} m (float[5] x) => (float[5] y) {{ r = Relu(x)  y = Slice<starts=[0], ends=[5]>(r) }}",
    ],
)
def test_everything(text):
    fires(whole_slice, text, leaves=["Relu"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (single("{0}", "{4}"), "cut off"),
        (single("{1}", "{9223372036854775807}", shape="N, 4"), "cut off"),
        (single("{-1}", "{-9223372036854775807}", steps="{-1}"), "negative"),
        (single("{0}", "{9223372036854775807}", steps="{2}", shape="N, 4"), "cut off"),
        (single("{0}", "{5}", shape="N, 4"), "cut off"),
        (f"{HEAD} m (float[5] x) => (float[4] y) {{ y = Slice<starts=[0], ends=[-1]>(x) }}", "cut off"),
    ],
)
def test_not_if_something_is_cut_off_or_reversed(text, reason):
    refuses(whole_slice, text, reason=reason)


def test_not_if_the_beginning_is_unknown():
    text = """m (float[N] x, int64[1] s) => (float[A] y) <int64[1] e = {9223372036854775807}>
        { r = Relu(x)  y = Slice(r, s, e) }"""
    refuses(whole_slice, text, reason="cut off")


def double(first, second, shape="7, 6"):
    names = ("starts", "ends", "axes", "steps")
    given = [
        (f"{name}{at}", values)
        for at, one in enumerate((first, second))
        for name, values in zip(names, one, strict=True)
    ]
    weights = ", ".join(f"int64[{values.count(',') + 1}] {name} = {values}" for name, values in given)
    return f"""m (float[{shape}] x) => (float[A, B] y) <{weights}> {{
        a = Slice(x, starts0, ends0, axes0, steps0)
        y = Slice(a, starts1, ends1, axes1, steps1)
    }}"""


@pytest.mark.parametrize(
    "text",
    [
        double(("{1}", "{5}", "{0}", "{1}"), ("{2}", "{-1}", "{1}", "{1}")),
        double(("{-1}", "{-8}", "{0}", "{-2}"), ("{-3}", "{9}", "{-1}", "{2}")),
        double(("{1}", "{6}", "{0}", "{1}"), ("{2}", "{4}", "{0}", "{1}")),
        double(("{0}", "{6}", "{0}", "{1}"), ("{0}", "{4}", "{0}", "{1}")),
        double(("{1}", "{6}", "{0}", "{1}"), ("{2}", "{9223372036854775807}", "{-2}", "{1}")),
        double(("{1, 0}", "{6, 3}", "{0, 1}", "{1, 1}"), ("{2}", "{4}", "{0}", "{1}"), "N, 6"),
    ],
)
def test_two_are_one(text):
    fires(slice_chain, text, leaves=["Slice"])


def test_two_are_one_with_attributes():
    text = f"""{HEAD} m (float[7, 6] x) => (float[2, 6] y) {{
        a = Slice<axes=[0], starts=[1], ends=[6]>(x)
        y = Slice<starts=[2], ends=[4]>(a)
    }}"""
    model = fires(slice_chain, text, leaves=["Slice"])
    assert model.graph.nodes[0].attrs == {"axes": [0], "starts": [3], "ends": [5]}


@pytest.mark.parametrize(
    "text",
    [
        double(("{-5}", "{6}", "{0}", "{1}"), ("{2}", "{4}", "{0}", "{1}")),
        double(("{1}", "{6}", "{0}", "{1}"), ("{2}", "{-1}", "{0}", "{1}")),
        double(("{0}", "{6}", "{0}", "{2}"), ("{1}", "{4}", "{0}", "{1}")),
    ],
)
def test_not_if_the_length_of_an_axis_decides(text):
    refuses(slice_chain, text, reason="cannot be composed")


def test_bounds_are_inputs_from_opset_10_on():
    text = """<ir_version: 5, opset_import: ["" : 10]> m (float[9] x) => (float[A] y)
        <int64[1] one = {1}, int64[1] eight = {8}> { p = Slice(x, one, eight)  y = Slice(p, one, eight) }"""
    model = fires(slice_chain, text, leaves=["Slice"])
    assert len(model.graph.nodes[0].inputs) == 4


def test_not_if_a_bound_is_unknown():
    text = """m (float[7] x, int64[1] s) => (float[N] y) <int64[1] a = {1}, int64[1] b = {5}> {
        p = Slice(x, s, b)
        y = Slice(p, a, b)
    }"""
    refuses(slice_chain, text, reason="unknown")


@pytest.mark.parametrize(("given", "reason"), [("k", "an axis is unknown"), ("a, k", "a step is unknown")])
def test_not_if_an_axis_or_a_step_is_unknown(given, reason):
    text = f"""m (float[7] x, int64[1] k) => (float[N] y) <int64[1] a = {{0}}, int64[1] b = {{5}}> {{
        p = Slice(x, a, b, {given})  y = Slice(p, a, b)
    }}"""
    refuses(slice_chain, text, reason=reason)


def test_not_if_the_first_is_returned():
    text = double(("{1}", "{5}", "{0}", "{1}"), ("{2}", "{5}", "{1}", "{1}")).replace("B] y)", "B] y, float[A, C] a)")
    refuses(slice_chain, text)


@pytest.mark.parametrize(("end", "left"), [(2**31 - 2, 2), (2**31 - 1, 1), (2**63 - 1, 1)])
def test_of_an_unknown_shape_only_an_endless_one_is_everything(end, left):
    text = f"""<ir_version: 10, opset_import: ["" : 21, "of.others" : 1]> m (float[N] x) => (float[A] y)
        <int64[1] starts = {{0}}, int64[1] ends = {{{end}}}> {{
            u = of.others.Unknown(x)
            y = Slice(u, starts, ends)
        }}"""
    assert len(apply(whole_slice, text).model.graph.nodes) == left


def test_not_if_the_number_of_axes_is_unknown():
    text = """m (float[N] x, int64[r] s) => (y) <int64[1] i = {0}, int64[1] j = {2}> {
        u = Reshape(x, s) a = Slice(u, i, j, i) y = Slice(a, i, j, i) }"""
    refuses(slice_chain, text, reason="the number of axes is unknown")
