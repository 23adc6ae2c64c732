"""Rules that are wrong in the ways in which such rules go wrong are caught, blamed and undone."""

from dataclasses import replace

import numpy as np
import pytest

from graphopt import Close, Const, Value, op, rule
from graphopt.ir.types import Constant
from passes.fuse import linear
from tests.support import apply, operators, proto

NORMALISATION = "BatchNormalization ({}, gamma, beta, mean, var)"
CONV = "agraph (float[N,4,8,8] x) => (float[N,4,H,W] y) {{ z = {} y = {} }}"
GEMM = "agraph (float[N,4] x) => (float[N,4] y) {{ z = {} y = {} }}"
PLACES = {
    linear.conv_batchnorm: CONV.format("Conv <group = 2> (x, w2, b)", NORMALISATION.format("z")),
    linear.conv_mul: CONV.format("ConvTranspose (x, w, b)", "Mul (z, c3)"),
    linear.conv_add: CONV.format("Conv (x, w, b)", "Sub (z, c3)"),
    linear.batchnorm_conv: CONV.format(NORMALISATION.format("x"), "Conv (z, w, b)"),
    linear.mul_conv: CONV.format("Div (x, c3)", "Conv <pads = [1,1,1,1]> (z, w, b)"),
    linear.add_conv: CONV.format("Add (x, c3)", "Conv (z, w, b)"),
    linear.pad_conv: CONV.format("Pad (x, p)", "Conv (z, w, b)"),
    linear.pad_average_pool: CONV.format("Pad (x, p)", "AveragePool <kernel_shape = [3,3]> (z)"),
    linear.pad_max_pool: CONV.format("Pad (x, p, nothing)", "MaxPool <kernel_shape = [3,3]> (z)"),
    linear.matmul_mul: GEMM.format("MatMul (x, m)", "Mul (z, c)"),
    linear.gemm_add: GEMM.format("Gemm (x, m, b)", "Add (z, c)"),
    linear.gemm_mul: GEMM.format("Gemm <transB = 1> (x, m, b)", "Mul (z, c)"),
    linear.gemm_batchnorm: GEMM.format("Gemm (x, m, b)", NORMALISATION.format("z")),
    linear.batchnorm_gemm: GEMM.format(NORMALISATION.format("x"), "Gemm (z, m, b)"),
    linear.mul_gemm: GEMM.format("Mul (x, c)", "Gemm (z, m, b)"),
    linear.add_gemm: GEMM.format("Add (x, c)", "Gemm (z, m, b)"),
    linear.transpose_gemm: "agraph (float[4,4] x) => (float[4,4] y) { z = Transpose (x) y = Gemm (z, m, b) }",
    linear.transpose_matmul: "agraph (float[4,4] x) => (float[4,4] y) { z = Transpose (x) y = MatMul (z, m) }",
    linear.gemm_transpose: "agraph (float[4,4] x) => (float[4,4] y) { z = Gemm (x, m, b) y = Transpose (z) }",
    linear.reshaped_gemm: """agraph (float[2,3,4] x) => (float[2,3,4] y) {
      f = Reshape (x, rows)
      g = Gemm (f, m, b)
      y = Reshape (g, stack)
    }""",
    linear.matmul_add: GEMM.format("MatMul (x, m)", "Add (z, b)"),
}


def weights():
    rng = np.random.default_rng(7)
    vectors = {name: rng.uniform(0.5, 2, 4).astype(np.float32) for name in ("gamma", "beta", "mean", "var", "b", "c")}
    kernels = {"w": (4, 4, 3, 3), "w2": (4, 2, 3, 3), "m": (4, 4)}
    pads = {"p": np.array([0, 0, 2, 0, 0, 0, 0, 1]), "nothing": np.float32(-np.inf)}
    pads |= {"rows": np.array([6, 4]), "stack": np.array([2, 3, 4])}
    return vectors | kernels | pads | {"c3": vectors["c"].reshape(4, 1, 1)}


def new_constants(draft):
    return [i for i, t in enumerate(draft.inputs) if isinstance(t, Constant) and not t.outputs and t.size > 1]


def spoiled(how):
    """Drafts after `how` has spoiled every new constant."""

    def spoil(draft):
        places = new_constants(draft)
        for i in places:
            draft.inputs[i] = Constant("?", how(draft.inputs[i].values))
        return bool(places)

    return spoil


def without_bias(draft):
    made = len(draft.inputs) == 3
    del draft.inputs[2:]
    return made


def padded_the_other_way(draft):
    pads = draft.attrs.get("pads", [])
    other = pads[len(pads) // 2 :] + pads[: len(pads) // 2]
    draft.attrs |= {"pads": other} if other != pads else {}
    return other != pads


def transposed_the_other_way(draft):
    draft.attrs["transA"] = 1 - draft.attrs.get("transA", 0)
    return draft.op == "Gemm" and draft.inputs[0].producer is None


def subtracted(draft):
    was, draft.op = draft.op, "Sub"
    return was == "Add"


FAULTS = {
    "sign": spoiled(np.negative),
    "neighbouring channel": spoiled(lambda a: np.roll(a, 1, axis=0)),
    "other axis": spoiled(
        lambda a: a.swapaxes(0, 1).copy() if a.ndim > 1 and a.shape[0] == a.shape[1] else a[::-1].copy()
    ),
    "epsilon": spoiled(lambda a: a * a.dtype.type(1.0005)),
    "one element": spoiled(lambda a: np.where(np.arange(a.size).reshape(a.shape) == 1, a + a.dtype.type(0.05), a)),
    "without bias": without_bias,
    "padding": padded_the_other_way,
    "transposition": transposed_the_other_way,
    "subtracted": subtracted,
}


def planted(right, fault):
    """The rule with a fault, and the list that tells for each rewrite whether the fault applied to it."""
    did = []

    def wrong(m, new):
        result = right.apply(m, new)
        did.append(fault(new.drafts[-1]))
        return result

    return replace(right, apply=wrong), did


CONSTANTS = ["sign", "neighbouring channel", "other axis", "epsilon", "one element"]
CONVOLUTIONS = [
    linear.conv_batchnorm,
    linear.conv_mul,
    linear.conv_add,
    linear.batchnorm_conv,
    linear.mul_conv,
    linear.add_conv,
]
PRODUCTS = [
    linear.gemm_add,
    linear.gemm_mul,
    linear.gemm_batchnorm,
    linear.batchnorm_gemm,
    linear.mul_gemm,
    linear.add_gemm,
]
PADDINGS = [linear.pad_conv, linear.pad_average_pool, linear.pad_max_pool]
PLANTED = [
    *((right, fault) for right in CONVOLUTIONS for fault in [*CONSTANTS, "without bias"]),
    *(
        (right, fault)
        for right in [*PRODUCTS, linear.gemm_transpose]
        for fault in [*CONSTANTS, "without bias", "transposition"]
    ),
    (linear.reshaped_gemm, "subtracted"),
    *((linear.matmul_mul, fault) for fault in CONSTANTS),
    *((right, "padding") for right in PADDINGS),
    *((right, "without bias") for right in (linear.pad_conv, linear.matmul_add, linear.transpose_gemm)),
    *((right, "transposition") for right in (linear.matmul_add, linear.transpose_gemm, linear.transpose_matmul)),
]


def test_every_rule_is_among_them():
    assert {right for right, _ in PLANTED} == set(PLACES) == {*linear.RULES, *linear.LATE}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_places_are_where_the_rules_fire(place):
    report = apply(place, PLACES[place], weights()).report
    assert [entry.rule for entry in report.rewrites] == [place.name]
    assert not report.rolled_back
    assert not report.unverified


@pytest.mark.parametrize(("place", "fault"), PLANTED, ids=lambda part: getattr(part, "name", part))
def test_a_fault_is_caught_blamed_and_undone(place, fault):
    wrong, did = planted(place, FAULTS[fault])
    result = apply(wrong, PLACES[place], weights())
    assert did[0], "the fault is none for this rule"
    assert [(entry.rule, entry.place) for entry in result.report.rolled_back] == [(place.name, f"{_root(place)} y")]
    assert not result.report.rewrites
    assert operators(result.model) == operators(proto(PLACES[place]))


def _root(place):
    return proto(PLACES[place]).graph.node[-1].op_type


@pytest.mark.parametrize("spoiled_layer", ["y", "n"])
def test_only_the_wrong_one_of_two_is_undone(spoiled_layer):
    text = """agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) {
      a = Conv (x, w1)
      n = BatchNormalization (a, gamma, beta, mean, var)
      r = Relu (n)
      d = Conv (r, w2)
      y = BatchNormalization (d, gamma, beta, mean, var)
    }"""

    def sometimes(m, new):
        result = linear.conv_batchnorm.apply(m, new)
        if m.root.outputs[0].name == spoiled_layer:
            FAULTS["sign"](new.drafts[-1])
        return result

    given = weights() | {"w1": (4, 4, 1, 1), "w2": (4, 4, 1, 1)}
    result = apply(replace(linear.conv_batchnorm, apply=sometimes), text, given)
    assert {entry.place for entry in result.report.rolled_back} == {f"BatchNormalization {spoiled_layer}"}
    assert operators(result.model) == {"Conv": 2, "Relu": 1, "BatchNormalization": 1}


def test_a_width_vector_as_channel_bias_is_caught():
    """A constant of one number for each column broadcasts along the width: it is no bias."""
    x, w, c = Value("x"), Value("w"), Const("c")

    @rule(op.Conv(x, w) + c, numerics=Close(8))
    def width_as_bias(m, new):
        """Wrong on purpose."""
        return new.Conv(m[x], m[w], m[c])

    text = "agraph (float[N,4,8,4] x) => (float[N,4,8,4] y) { z = Conv (x, w) y = Add (z, c) }"
    result = apply(width_as_bias, text, {"w": (4, 4, 1, 1), "c": (4,)})
    assert [entry.rule for entry in result.report.rolled_back] == ["width_as_bias"]
    assert operators(result.model) == {"Conv": 1, "Add": 1}
