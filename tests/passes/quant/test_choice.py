"""What `quant` alone chooses, and that it says so."""

import pytest

import graphopt
from graphopt.ir.reader import load
from graphopt.numerics.run import InProcess
from graphopt.pipeline.context import Context
from graphopt.target import TARGETS
from passes.quant.choice import TABLE, Kind, classify
from passes.quant.kernels import ARM64, X64_ANY, X64_AVX2, X64_VNNI
from passes.quant.processor import integers_of, table
from passes.quant.schemes import SCHEMES
from tests.passes.quant.nets import convs, samples, saved
from tests.support import proto

MATRICES = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 16] x) => (float[N, 8] y) { a = Gemm (x, w)
 r = Relu (a)
 y = Gemm (r, v) }
"""


def kind(model):
    return classify(Context(load(model)))


def test_networks_are_told_apart():
    assert kind(convs()) is Kind.CONVOLUTIONS
    assert kind(proto(MATRICES, {"w": (16, 16), "v": (16, 8)})) is Kind.MATRICES
    text = MATRICES.replace("r = Relu (a)", "r = LayerNormalization (a, s)")
    assert kind(proto(text, {"w": (16, 16), "v": (16, 8), "s": (16,)})) is Kind.ATTENTION
    assert kind(proto("g (float[N] x) => (float[N] y) { y = Exp (x) }")) is Kind.NOTHING


def test_the_softmax_of_a_classifier_is_no_attention():
    text = MATRICES.replace("y = Gemm (r, v)", "l = Gemm (r, v)\n y = Softmax (l)")
    assert kind(proto(text, {"w": (16, 16), "v": (16, 8)})) is Kind.MATRICES


@pytest.mark.parametrize(
    ("model", "data", "scheme"),
    [
        (convs, True, "static"),
        (convs, False, "int8"),
        (lambda: proto(MATRICES, {"w": (16, 16), "v": (16, 8)}), False, "dynamic"),
    ],
)
def test_the_choice_follows_from_network_and_data_and_is_told(model, data, scheme, tmp_path):
    given = {"calibration": saved(tmp_path, x=samples())} if data else {}
    report = graphopt.optimize(model(), passes="quant", verify="off", runner=InProcess(), **given).report
    assert any(note.startswith(f"quant chose {scheme}: ") for note in report.notes), report.notes


def test_every_scheme_of_the_table_exists():
    assert {name for choice in TABLE for name in choice.schemes} <= SCHEMES.keys()


def test_every_kind_has_a_choice_with_data_and_without():
    for one in Kind:
        if one is not Kind.NOTHING:
            assert all(any(c.kind is one and c.data in (None, data) for c in TABLE) for data in (True, False))


@pytest.mark.parametrize(
    ("architecture", "features", "expected"),
    [
        ("x86_64", ("avx2", "vnni"), X64_VNNI),
        ("x86_64", ("avx2",), X64_AVX2),
        ("x86_64", (), X64_ANY),
        ("AMD64", ("avx2",), X64_AVX2),
        ("aarch64", ("neon", "dotprod"), ARM64),
        ("arm64", (), ARM64),
    ],
)
def test_the_processor_decides_about_the_table(architecture, features, expected):
    assert table(architecture, features).name == expected.name


def test_every_target_has_a_table():
    assert all(integers_of(target).doc for target in TARGETS.values())
    assert integers_of(TARGETS["portable"]).name == "x64-any"
