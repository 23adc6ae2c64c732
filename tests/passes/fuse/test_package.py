import numpy as np

import passes.fuse as package
from passes.fuse import FUSE, activation, linear, norm
from tests.support import apply, operators


def test_every_rule_is_exported_by_its_name():
    assert {rule.name: rule for rule in FUSE.rules} == {rule.name: getattr(package, rule.name) for rule in FUSE.rules}
    assert {rule.name for rule in FUSE.rules} | {"FUSE", "RULES"} == set(package.__all__)


def test_rules_have_one_home_each():
    homes = [*linear.RULES, *activation.RULES, *norm.RULES, *linear.LATE]
    assert sorted(rule.name for rule in FUSE.rules) == sorted(rule.name for rule in homes)
    assert len({rule.name for rule in FUSE.rules}) == len(FUSE.rules)


def test_an_activation_is_recognised_before_its_factor_goes_into_the_next_convolution():
    text = """agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) {
      a = Add (x, three)
      b = Clip (a, zero, six)
      c = Mul (x, b)
      d = Div (c, six)
      y = Conv (d, w)
    }"""
    numbers = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}
    left = apply(FUSE, text, {"w": (4, 4, 1, 1), **numbers})
    assert operators(left.model) == {"HardSwish": 1, "Conv": 1}


def test_normalisation_goes_back_into_the_convolution_before_it():
    text = """agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) {
      a = Conv (x, w)
      n = BatchNormalization (a, v, v, v, v)
      y = Conv (n, w2)
    }"""
    left = apply(FUSE, text, {"w": (4, 4, 1, 1), "w2": (4, 4, 1, 1), "v": np.array([1, 2, 3, 4], np.float32)})
    assert [(entry.rule, entry.place) for entry in left.report.rewrites] == [("conv_batchnorm", "BatchNormalization n")]


def test_late_rules_can_be_chosen_and_left_out():
    text = "agraph (float[N,4,8,8] x) => (float[N,4,8,8] y) { z = Mul (x, c) y = Conv (z, w) }"
    weights = {"w": (4, 4, 1, 1), "c": np.float32(0.3)}
    assert operators(apply("fuse:only=mul_conv", text, weights).model) == {"Conv": 1}
    assert operators(apply("fuse:skip=mul_conv", text, weights).model) == {"Mul": 1, "Conv": 1}


def test_what_the_runtime_has_no_kernel_for_is_fused_only_when_asked():
    text = """<ir_version: 10, opset_import: ["": 24]>
    agraph (float[N,4] x) => (float[N,4] y) { s = Sigmoid(x) m = Mul(x, s) y = Relu(m) }"""
    assert operators(apply("fuse", text).model) == {"Sigmoid": 1, "Mul": 1, "Relu": 1}
    assert operators(apply("fuse:also=silu", text).model) == {"Swish": 1, "Relu": 1}
