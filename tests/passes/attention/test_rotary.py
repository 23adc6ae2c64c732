"""RotaryEmbedding, of pairs of halves."""

from __future__ import annotations

import numpy as np
import pytest

from passes.attention import partial_rotary_embedding, rotary_embedding, standard_rotary_embedding
from tests.support import apply, fires, refuses

ANGLES = np.outer(np.arange(5), 10.0 ** -np.arange(4)).astype(np.float32)
COS, SIN = (np.concatenate([f(ANGLES)] * 2, axis=-1)[None, None] for f in (np.cos, np.sin))
CUTS = {"i0": np.array([0]), "i4": np.array([4]), "end": np.array([2**63 - 1]), "last": np.array([3])}
HALVES = "x1 = Slice(x, i0, i4, last) x2 = Slice(x, i4, end, last)"
TURNED = "n = Neg(x2) r = Concat<axis = -1>(n, x1) a = Mul(x, cos) b = Mul(r, sin) y = Add(a, b)"
WEIGHTS = {"cos": COS, "sin": SIN}


def model(body, inputs="float[b, 4, 5, 8] x", output="float[b, 4, 5, 8] y", opset=18):
    return f'<ir_version: 10, opset_import: ["" : {opset}]> agraph ({inputs}) => ({output}) {{ {body} }}'


def test_halves_cut_by_slices():
    result = fires(rotary_embedding, model(HALVES + TURNED), WEIGHTS | CUTS, leaves=["RotaryEmbedding"])
    (node,) = result.graph.nodes
    np.testing.assert_array_equal(node.inputs[2].values, np.cos(ANGLES))


def test_halves_cut_by_a_split():
    body = "x1, x2 = Split<axis = -1>(x, halves)" + TURNED
    fires(rotary_embedding, model(body), WEIGHTS | {"halves": np.array([4, 4])}, leaves=["RotaryEmbedding"])


def test_it_moves_before_the_heads_are_set_apart():
    body = f"h = Reshape(w, apart) x = Transpose<perm = [0, 2, 1, 3]>(h) {HALVES} {TURNED}"
    text = model(body, "float[b, 5, 32] w")
    weights = WEIGHTS | CUTS | {"apart": np.array([0, 0, 4, 8])}
    result = fires(rotary_embedding, text, weights, leaves=["RotaryEmbedding", "Reshape", "Transpose"])
    node = next(node for node in result.graph.nodes if node.op == "RotaryEmbedding")
    assert (node.inputs[0].name, node.attrs["num_heads"]) == ("w", 4)


COMPUTED = (
    "f = MatMul(p, rates) e = Concat<axis = -1>({}) c = Cos(e) s = Sin(e)"
    " cos = Unsqueeze(c, one) sin = Unsqueeze(s, one) "
)
POSITIONS = "float[1, t, 1] p"
RATES = {"rates": 10.0 ** -np.arange(4, dtype=np.float32)[None], "one": np.array([1])}


@pytest.mark.parametrize("axis", [-1, 2])
def test_angles_that_are_computed(axis):
    angles = COMPUTED.format("f, f").replace("-1", str(axis))
    text = model(angles + HALVES + TURNED, f"float[b, 4, t, 8] x, {POSITIONS}", "float[b, 4, t, 8] y")
    leaves = ["MatMul", "Cos", "Sin", "Reshape", "Reshape", "RotaryEmbedding"]
    fires(rotary_embedding, text, RATES | CUTS, leaves=leaves)


@pytest.mark.parametrize(
    ("angles", "positions", "reason"),
    [
        (COMPUTED.format("f, g").replace("e =", "g = Neg(f) e ="), POSITIONS, "the same for both"),
        (COMPUTED.format("f, f"), "float[b, t, 1] p", "differ from row to row"),
        (COMPUTED.format("f, f").replace("-1", "1").replace("Unsqueeze", "Reshape"), POSITIONS, "not those of pairs"),
        ("", "float[1, 1, t, 8] cos, float[1, 1, t, 8] sin", "the same for both"),
    ],
)
def test_other_computed_angles_are_left_alone(angles, positions, reason):
    inputs, rows = f"float[b, 4, t, 8] x, {positions}", np.array([1, 1, -1, 8])
    text = model(angles + HALVES + TURNED, inputs, "float[b, 4, t, 8] y")
    constants = {"rates": RATES["rates"], "one": rows if "Reshape" in angles else RATES["one"]}
    refuses(rotary_embedding, text, CUTS | constants, reason=reason)


def test_angles_of_one_position_spread_over_others_are_left_alone():
    angles = "f = MatMul(p, rates) e = Concat<axis = -1>(f, f) c = Cos(e) s = Sin(e)"
    angles += " cos = Reshape(c, spread) sin = Reshape(s, spread) "
    text = model(angles + HALVES + TURNED, "float[b, 4, 8, 8] x, float[1, 1, 1] p", "float[b, 4, 8, 8] y")
    weights = CUTS | {"rates": 10.0 ** -np.arange(4, dtype=np.float32)[None], "spread": np.array([1, 1, 8, 1])}
    refuses(rotary_embedding, text, weights, reason="not those of positions")


NEIGHBOURS = {
    "cos": np.repeat(np.cos(ANGLES), 2, axis=-1)[None, None],
    "sin": np.repeat(np.sin(ANGLES), 2, axis=-1)[None, None],
    "i0": np.array([0]),
    "i1": np.array([1]),
    "i2": np.array([2]),
    "end": CUTS["end"],
    "last": CUTS["last"],
    "inside": np.array([-1]),
    "shape": np.array([0, 0, 0, -1]),
}
ALTERNATING = """
    x1 = Slice(x, i0, end, last, i2) x2 = Slice(x, i1, end, last, i2)
    n = Neg(x2) n5 = Unsqueeze(n, inside) x5 = Unsqueeze(x1, inside)
    s = Concat<axis = -1>(n5, x5) r = Reshape(s, shape) a = Mul(x, cos) b = Mul(r, sin) y = Add(a, b)
"""


def test_pairs_of_neighbours():
    result = fires(rotary_embedding, model(ALTERNATING), NEIGHBOURS, leaves=["RotaryEmbedding"])
    assert result.graph.nodes[0].attrs["interleaved"] == 1


def test_neighbours_with_the_angles_of_halves_are_left_alone():
    reason = "turned by different angles"
    refuses(rotary_embedding, model(ALTERNATING), NEIGHBOURS | WEIGHTS, reason=reason)


def test_a_part_of_each_head():
    body = f"x = Slice(w, i0, i8, last) rest = Slice(w, i8, end, last) {HALVES} {TURNED.replace('y =', 't =')}"
    text = model(body + " y = Concat<axis = 3>(t, rest)", "float[b, 4, 5, 12] w", "float[b, 4, 5, 12] y")
    rules = [rotary_embedding, partial_rotary_embedding]
    result = fires(rules, text, WEIGHTS | CUTS | {"i8": np.array([8])}, leaves=["RotaryEmbedding"])
    assert result.graph.nodes[0].attrs["rotary_embedding_dim"] == 8


def test_the_last_part_of_each_head_is_left_alone():
    body = f"x = Slice(w, i4, end, last) rest = Slice(w, i0, i4, last) {HALVES} {TURNED.replace('y =', 't =')}"
    text = model(body + " y = Concat<axis = 3>(t, rest)", "float[b, 4, 5, 12] w", "float[b, 4, 5, 12] y")
    result = apply([rotary_embedding, partial_rotary_embedding], text, WEIGHTS | CUTS)
    assert "partial_rotary_embedding" not in result.report.hits


def test_parts_that_are_put_elsewhere_are_left_alone():
    body = f"x = Slice(w, i0, i8, last) rest = Slice(w, i8, end, last) {HALVES} {TURNED.replace('y =', 't =')}"
    text = model(body + " y = Concat<axis = 2>(t, rest)", "float[b, 4, 5, 16] w", "float[b, 4, 10, 8] y")
    result = apply([rotary_embedding, partial_rotary_embedding], text, WEIGHTS | CUTS | {"i8": np.array([8])})
    assert "parts are missing" in next(one.reason for one in result.report.refusals if "partial" in one.rule)
    assert not result.report.rolled_back


def test_parts_of_heads_side_by_side_are_left_alone():
    text = """<ir_version: 10, opset_import: ["" : 18, "com.microsoft" : 1]>
        agraph (float[b, 5, 12] w, int64[b, 5] at) => (float[b, 5, 12] y) {
            x = Slice(w, i0, i8, inside) rest = Slice(w, i8, end, inside)
            t = com.microsoft.RotaryEmbedding(x, at, cos, sin) y = Concat<axis = 2>(t, rest) }"""
    constants = CUTS | {"cos": np.cos(ANGLES), "sin": np.sin(ANGLES), "i8": np.array([8]), "inside": np.array([-1])}
    refuses(partial_rotary_embedding, text, constants, reason="has not four dimensions")


def test_every_other_element_of_each_head_is_no_part():
    body = f"x = Slice(w, i0, end, last, i2) rest = Slice(w, i8, end, last) {HALVES} {TURNED.replace('y =', 't =')}"
    text = model(body + " y = Concat<axis = 3>(t, rest)", "float[b, 4, 5, 16] w", "float[b, 4, 5, 16] y")
    constants = CUTS | {"i8": np.array([8]), "i2": np.array([2])}
    result = apply([rotary_embedding, partial_rotary_embedding], text, WEIGHTS | constants)
    assert "not those of one head" in next(one.reason for one in result.report.refusals if "partial" in one.rule)
    assert not result.report.rolled_back


def test_float16():
    text = model(HALVES + TURNED, "float16[b, 4, 5, 8] x", "float16[b, 4, 5, 8] y")
    half = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    fires(rotary_embedding, text, half | CUTS, leaves=["RotaryEmbedding"])


@pytest.mark.parametrize(
    ("angles", "reason"),
    [
        (COS * np.arange(1, 9, dtype=np.float32), "turned by different angles"),
        (COS[:, :, :1], "not those of each position"),
        (COS[0, 0, 0], "not those of each position"),
        (COS[..., :1], "not those of each position"),
        (np.repeat(COS, 4, axis=1), "differ from row to row, or from head to head"),
    ],
)
def test_other_angles_are_left_alone(angles, reason):
    refuses(rotary_embedding, model(HALVES + TURNED), WEIGHTS | CUTS | {"cos": angles}, reason=reason)


def test_other_pairs_are_left_alone():
    swapped = HALVES.replace("x1", "x3").replace("x2", "x1").replace("x3", "x2")
    refuses(rotary_embedding, model(swapped + TURNED), WEIGHTS | CUTS, reason="not in pairs of halves")


def test_other_neighbours_are_left_alone():
    swapped = (
        ALTERNATING.replace("(x, i0,", "(x, first,").replace("(x, i1,", "(x, i0,").replace("(x, first,", "(x, i1,")
    )
    refuses(rotary_embedding, model(swapped), NEIGHBOURS, reason="not in pairs of neighbours")
    known = {name: array for name, array in NEIGHBOURS.items() if name != "cos"}
    text = model(ALTERNATING, "float[b, 4, 5, 8] x, float[1, 1, 5, 8] cos")
    refuses(rotary_embedding, text, known, reason="angles of neighbours are computed")
    beside = ALTERNATING.replace("Concat<axis = -1>", "Concat<axis = -2>")
    refuses(rotary_embedding, model(beside), NEIGHBOURS | {"inside": np.array([-2])}, reason="beside each other")


@pytest.mark.parametrize(
    ("shape", "angles", "reason"),
    [
        ("[b, 4, 5, n]", WEIGHTS, "is unknown, or odd"),
        ("[b, 5, 8]", {name: held[0, 0] for name, held in WEIGHTS.items()}, "has not four dimensions"),
        ("[b, 4, 5, 8]", {name: held[None] for name, held in WEIGHTS.items()}, "broadcast what is turned"),
    ],
)
def test_other_shapes_are_left_alone(shape, angles, reason):
    output = "float[1, b, 4, 5, 8] y" if "broadcast" in reason else f"float{shape} y"
    cuts = CUTS | {"last": np.array([-1])}
    refuses(rotary_embedding, model(HALVES + TURNED, f"float{shape} x", output), angles | cuts, reason=reason)


def test_ai_onnx_turns_halves_where_the_target_has_nothing_else():
    text = model(HALVES + TURNED, "float[2, 4, 5, 8] x", "float[2, 4, 5, 8] y", opset=23)
    refuses(standard_rotary_embedding, text, WEIGHTS | CUTS, reason="has an operator for any opset")
    swapped = text.replace("x1 = Slice(x, i0, i4, last)", "x1 = Slice(x, i4, end, last)")
    reason = "not in pairs of halves"
    refuses(standard_rotary_embedding, swapped, WEIGHTS | CUTS, reason=reason, target="portable")


def test_ai_onnx_wants_angles_that_are_known():
    text = model(
        COMPUTED.format("f, f") + HALVES + TURNED, f"float[2, 4, t, 8] x, {POSITIONS}", "float[2, 4, t, 8] y", 23
    )
    refuses(standard_rotary_embedding, text, RATES | CUTS, reason="the angles are computed", target="portable")


def test_ai_onnx_has_one_too():
    text = model(HALVES + TURNED, "float[2, 4, 5, 8] x", "float[2, 4, 5, 8] y", opset=23)
    fires(standard_rotary_embedding, text, WEIGHTS | CUTS, leaves=["RotaryEmbedding"], target="portable")


def test_ai_onnx_wants_angles_for_every_row():
    text = model(HALVES + TURNED, opset=23)
    refuses(standard_rotary_embedding, text, WEIGHTS | CUTS, target="portable", reason="the batch is free")


def test_ai_onnx_has_none_of_float64():
    text = model(HALVES + TURNED, "double[2, 4, 5, 8] x", "double[2, 4, 5, 8] y", opset=23)
    angles = {name: held.astype(np.float64) for name, held in WEIGHTS.items()}
    refuses(standard_rotary_embedding, text, angles | CUTS, target="portable", reason="float64")


def test_portable_models_get_no_operator_of_the_runtime():
    refuses(rotary_embedding, model(HALVES + TURNED), WEIGHTS | CUTS, target="portable", reason="does not run")
