"""What belongs together, what pins it, and how calls change when some of it goes."""

from __future__ import annotations

import numpy as np
import pytest

import graphopt
from graphopt.analysis.shapes import Shapes
from graphopt.ir.reader import load
from graphopt.numerics.run import InProcess
from graphopt.pipeline.context import Context
from passes.prune.cut import cut
from passes.prune.grouping import Grouping
from passes.prune.ties import TABLE
from passes.prune.ties.call import Entry
from tests.support import apply, operators, proto


def grouping(text, weights, **options):
    model = load(proto(text, weights))
    return Grouping(model, Shapes(model), **options)


def sizes(text, weights, **options):
    return {group.name: group.size for group in grouping(text, weights, **options).groups}


def pins(text, weights):
    return {group.name: [pin.reason for pin in group.pins] for group in grouping(text, weights).pinned}


def halved(text, weights):
    """The model with half of each group, cut by hand and verified by nobody; initializers and attributes by name."""
    model = load(proto(text, weights))
    context = Context(model)
    found = Grouping(model, context.shapes)
    cut(context, found, {group: group.atoms[::2] for group in found.groups})
    made = model.to_proto()
    return made, {held.name: tuple(held.dims) for held in made.graph.initializer}


CONV = "g (float[n, 4, 6, 6] x) => (float[n, 2, 6, 6] y) { a = Conv(x, w1) %s y = Conv(%s, w2) }"


def test_groups_of_a_convolution_stay_equally_wide():
    text = CONV % ("b = Conv<group = 2>(a, wg)", "b")
    made, shapes = halved(text, {"w1": (8, 4, 1, 1), "wg": (12, 4, 1, 1), "w2": (2, 12, 1, 1)})
    assert sizes(text, {"w1": (8, 4, 1, 1), "wg": (12, 4, 1, 1), "w2": (2, 12, 1, 1)}) == {"w1": 4, "wg": 6}
    assert shapes == {"w1": (4, 4, 1, 1), "wg": (6, 2, 1, 1), "w2": (2, 6, 1, 1)}
    assert made.graph.node[1].attribute[0].i == 2


def test_a_depthwise_convolution_loses_groups():
    text = CONV % ("b = Conv<group = 8>(a, wd)", "b")
    made, shapes = halved(text, {"w1": (8, 4, 1, 1), "wd": (16, 1, 1, 1), "w2": (2, 16, 1, 1)})
    assert shapes == {"w1": (4, 4, 1, 1), "wd": (8, 1, 1, 1), "w2": (2, 8, 1, 1)}
    assert made.graph.node[1].attribute[0].i == 4


def test_a_layer_that_reads_a_single_channel_makes_its_own():
    text = "g (float[n, 1, 6, 6] x) => (float[n, 2, 6, 6] y) { a = Conv(x, w1, b) y = Conv(a, w2) }"
    assert sizes(text, {"w1": (8, 1, 1, 1), "b": (8,), "w2": (2, 8, 1, 1)}) == {"w1": 8}


def test_a_vector_that_layers_share_is_cut_in_each_by_itself():
    text = """
    g (float[n, 4] x) => (float[n, 2] y) {
        a = MatMul(x, w1) b = Add(a, v) c = Relu(b) d = MatMul(c, w2) e = Add(d, v) f = Relu(e) y = MatMul(f, w3)
    }
    """
    weights = {"w1": (4, 6), "v": (6,), "w2": (6, 6), "w3": (6, 2)}
    assert sizes(text, weights) == {"w1": 6, "w2": 6}
    _, shapes = halved(text, weights)
    assert (shapes["w1"], shapes["w2"], shapes["w3"]) == ((4, 3), (3, 3), (3, 2))


def test_a_matrix_that_layers_share_ties_them():
    text = """
    g (float[n, 4] x) => (float[n, 2] y) {
        a = MatMul(x, w1) b = Relu(a) c = MatMul(b, w2) d = Relu(c) e = MatMul(d, w2) f = Relu(e) y = MatMul(f, w3)
    }
    """
    assert sizes(text, {"w1": (4, 6), "w2": (6, 6), "w3": (6, 2)}) == {"w1": 6}


def test_a_sliced_part_that_nobody_reads_is_not_cut():
    text = """
    g (float[n, 4] x) => (float[n, 2] y) { a = MatMul(x, w1) b = Slice(a, one, four, one) y = MatMul(b, w2) }
    """
    weights = {"w1": (4, 6), "w2": (3, 2), "one": np.array([1]), "four": np.array([4])}
    assert sizes(text, weights) == {"w1": 3}
    _, shapes = halved(text, weights)
    assert (shapes["w1"], shapes["w2"]) == ((4, 4), (1, 2))


def test_a_computed_target_keeps_what_is_free_in_it():
    text = """
    g (float[n, s, 4] x) => (float[n, s, 2] y) {
        a = MatMul(x, w1) all = Shape(x) free = Slice(all, zero, two) target = Concat<axis = 0>(free, heads)
        b = Reshape(a, target) c = Transpose<perm = [0, 2, 1, 3]>(b) t = Transpose<perm = [0, 1, 3, 2]>(c)
        m = MatMul(c, t) p = Softmax(m) v = MatMul(p, c) r = Transpose<perm = [0, 2, 1, 3]>(v)
        f = Concat<axis = 0>(free, rest) g = Reshape(r, f) y = MatMul(g, w2)
    }
    """
    weights = {"w1": (4, 12), "w2": (12, 2), "zero": np.array([0]), "two": np.array([2]), "heads": np.array([4, 3])}
    result = apply("prune:ratio=0.5", text, weights | {"rest": np.array([12])})
    assert not result.report.rolled_back
    assert not result.report.unverified
    assert operators(result.model)["Where"] == 2
    x = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("f4")
    (y,) = InProcess().run(result.model.to_proto().SerializeToString(), {"x": x})
    assert y.shape == (3, 5, 2)


def test_sizes_that_are_read_stay_what_they_were():
    text = """
    g (float[n, 4] x) => (float[n, 2] y) {
        a = MatMul(x, w1) s = Shape<start = 1>(a) f = Cast<to = 1>(s) b = Div(a, f) y = MatMul(b, w2)
    }
    """
    result = apply("prune:ratio=0.5", text, {"w1": (4, 6), "w2": (6, 2)})
    assert not result.report.rolled_back, "a mean over 6 numbers, of which 3 are zero, is no mean over 3"
    assert len([e for e in result.report.rewrites if e.rule == "cut"]) == 1


@pytest.mark.parametrize(
    ("body", "weights", "reason"),
    [
        ("y = MatMul(x, w1)", {}, "it is an output of the model"),
        ("a = MatMul(x, w1) b = Softmax(a) y = MatMul(b, w2)", {"w2": (6, 2)}, "Softmax works on the whole of it"),
        ("a = MatMul(x, w1) b = Det(a) y = MatMul(a, w2)", {"w2": (6, 2)}, "Det is not in the table of ties"),
        ("a = MatMul(x, w1) b = Transpose(a) y = MatMul(a, b)", {}, "both its factors are computed"),
        ("a = MatMul(x, w1) y = ReduceSum(a, one)", {"one": np.array([1])}, "ReduceSum reduces it"),
        ("a = MatMul(x, w1) b = LayerNormalization(a, v) y = MatMul(b, w2)", {"v": (6,), "w2": (6, 2)}, "averages"),
    ],
)  # fmt: skip
def test_what_pins_a_group_is_said(body, weights, reason):
    found = pins(f"g (float[8, 4] x) => (float[p, q] y) {{ {body} }}", {"w1": (4, 6), **weights})
    assert any(reason in one for one in found["w1"]), found


def test_what_a_branch_reads_stays():
    text = """
    g (float[n, 4] x, bool b) => (float[n, 2] y) {
        a = MatMul(x, w1)
        y = If (b) <
            then_branch = t () => (float[n, 2] u) { u = MatMul(a, w2) },
            else_branch = e () => (float[n, 2] v) { v = MatMul(a, w3) }
        >
    }
    """
    found = pins(text, {"w1": (4, 6), "w2": (6, 2), "w3": (6, 2)})
    assert found == {"w1": ["a graph inside If reads it"]}


def test_the_width_of_a_transformer_is_cut_when_asked():
    text = """
    g (float[n, 4] x) => (float[n, 2] y) {
        a = MatMul(x, w1) b = LayerNormalization(a, v, v) c = MatMul(b, w2) d = Add(c, a) y = MatMul(d, w3)
    }
    """
    weights = {"w1": (4, 8), "v": (8,), "w2": (8, 8), "w3": (8, 2)}
    assert sizes(text, weights) == {}
    (group,) = grouping(text, weights, averaged=True).groups
    assert (group.kind, group.size, group.exact) == ("width", 8, False)
    result = apply("prune:kinds=width:ratio=0.5", text, weights)
    assert {entry.contract for entry in result.report.rewrites} == {"judged"}


def test_a_wrong_tie_is_found_and_undone(monkeypatch):
    """With an entry that says nothing of what Softmax mixes, zeroing is not the same as cutting."""
    monkeypatch.setitem(TABLE, "Softmax", Entry(lambda call: call.letters("nc->nc")))
    text = "g (float[n, 4] x) => (float[n, 2] y) { a = MatMul(x, w1) b = Softmax(a) y = MatMul(b, w2) }"
    weights = {"w1": (4, 6), "w2": (6, 2)}
    result = apply("prune:ratio=0.5", text, weights)
    assert [entry.rule for entry in result.report.rolled_back] == ["cut"]
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("f4")
    runs = [
        InProcess().run(m.SerializeToString(), {"x": x})[0] for m in (proto(text, weights), result.model.to_proto())
    ]
    np.testing.assert_array_equal(*runs)


def test_overridable_weights_are_no_weights():
    text = "g (float[n, 4] x, float[4, 6] w1) => (float[n, 2] y) { a = MatMul(x, w1) y = MatMul(a, w2) }"
    model = proto(text, {"w1": (4, 6), "w2": (6, 2)})
    with pytest.raises(graphopt.UsageError, match="it is an output of the model"):
        graphopt.optimize(model, passes="prune", runner=InProcess())
    assert graphopt.optimize(model, passes="freeze,prune", runner=InProcess()).report.after.weight_bytes == (12 + 6) * 4
