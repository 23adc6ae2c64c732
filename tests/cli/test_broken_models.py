"""Models that contradict the standard, themselves or the machine: refused in one sentence, or compiled with a word."""

from __future__ import annotations

import re
import resource
from itertools import pairwise

import onnx
import onnx.parser
import pytest

from tests.cli.conftest import run
from tests.support import proto

NET = "g (float[3] x) => (float[3] y) { %s }"
FUNCTION = """<ir_version: 10, opset_import: ["" : 21, "own" : 1]>
    m (float[3] x, bool c) => (float[3] y) { y = own.f(x, c) }
    <domain: "own", opset_import: ["" : 21]> f (p, c) => (q) { %s }"""
REFUSED = {
    "operator": (NET % "y = Frobnicate(x)", r"Frobnicate\(y\): opset 21 of ai\.onnx has no such operator"),
    "misspelt": (NET % "y = Relux(x)", "no such operator; did you mean Relu?"),
    "newer operator": ('<ir_version: 8, opset_import: ["": 13]> ' + NET % "y = Gelu(x)", "it came with opset 20"),
    "older operator": (NET % 'y = Upsample <mode = "nearest"> (x, x)', "has given up this operator"),
    "too many inputs": (NET % "y = Relu(x, x, x)", r"Relu\(y\): it has 3 inputs, opset 21 of ai\.onnx wants 1"),
    "too few inputs": (NET % "y = Add(x)", "it has 1 input, .* wants 2"),
    "left out input": (NET % 'y = Add(x, "")', "its input B is left out, which is not optional"),
    "too many outputs": (NET % "y, z = Relu(x)", "it has 2 outputs, .* wants 1"),
    "attribute": (NET % "y = Relu <foo = 3> (x)", "knows no attribute 'foo' of it"),
    "attribute's type": (NET % 'y = Cast <to = "float"> (x)', "'to' is of type STRING, .* wants INT"),
    "no attribute": (NET % "y = Cast(x)", "it has no attribute to, without which"),
    "in a branch": (
        """g (float[3] x, bool c) => (float[3] y) { y = If(c) <then_branch = t () => (float[3] p) { p = Relux(x) },
                                                              else_branch = e () => (float[3] q) { q = Neg(x) }> }""",
        r"Relux\(p\).*did you mean Relu",
    ),
    "in a function": (
        FUNCTION % "q = If(c) <then_branch = t () => (float[3] r) { r = Relux(p) }, "
        "else_branch = e () => (float[3] s) { s = Neg(p) }>",
        r"function 'f': Relux: opset 21 of ai\.onnx has no such operator; did you mean Relu",
    ),
    "attribute in a function": (FUNCTION % "q = Relu <foo = 3> (p)", "function 'f': Relu: .* knows no attribute 'foo'"),
    "domain": (
        '<ir_version: 8, opset_import: ["ai.onnx.ml": 3]> ' + NET % "y = Relu(x)",
        "the model does not import ai.onnx",
    ),
    "format of the future": (
        '<ir_version: 99, opset_import: ["": 21]> ' + NET % "y = Relu(x)",
        "of version 99",
    ),
    "opset of the future": (
        '<ir_version: 8, opset_import: ["": 21, "ai.onnx.ml": 99]> ' + NET % "y = Relu(x)",
        "set 99",
    ),
}


def written(here, text):
    message = onnx.parser.parse_model(text) if text.startswith("<") else proto(text.replace('""', "empty"))
    for node in message.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = "" if name == "empty" else name
    onnx.save(message, here / "m.onnx")


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("verify", ["off", "region"])
def test_what_no_runtime_loads_is_refused(here, kind, verify):
    text, words = REFUSED[kind]
    written(here, text)
    for command in (
        ("optimize", "m.onnx", "-o", "out.onnx", "--verify", verify),
        ("why", "m.onnx", "--rule", "gelu"),
    ):
        result = run(*command)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("graphopt: m.onnx: ")
        assert result.stderr.count("\n") == 1
        assert re.search(words, result.stderr), result.stderr
    assert [path.name for path in here.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_broken_can_still_be_looked_at(here, kind):
    """`inspect` and `view` show what is there, or say why not."""
    written(here, REFUSED[kind][0])
    result = run("inspect", "m.onnx", "--no-passes")
    assert result.exit_code in (0, 2), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


UNRUNNABLE = {
    "shapes": ("g (float[3] x, float[4] z) => (float[3] y) { y = Add(x, z) }", "Incompatible dimensions"),
    "product": ("g (float[3, 4] x, float[5, 6] z) => (float[3, 6] y) { y = MatMul(x, z) }", "Incompatible dimensions"),
    "declared dtype": ("g (float[3] x) => (int64[3] y) { y = Relu(x) }", "does not match expected type"),
    "dtypes": ("g (float[3] x, int64[3] z) => (float[3] y) { y = Add(x, z) }", "bound to different types"),
}


@pytest.mark.parametrize("kind", UNRUNNABLE)
def test_what_the_runtime_refuses_is_told(here, kind):
    text, words = UNRUNNABLE[kind]
    written(here, text)
    result = run("optimize", "m.onnx", "-o", "out.onnx")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert re.search(f"the model itself could not be run: .*{words}", told), told


GROWING = {
    "ConstantOfShape": "s = Constant <value_ints = [4000000000]> () z = ConstantOfShape(s) q = ReduceSum(z)",
    "ConstantOfShape of 2^62": "s = Constant <value_ints = [4611686018427387904]> () z = ConstantOfShape(s) "
    "q = ReduceSum(z)",
    "Expand": "s = Constant <value_ints = [65536, 65536]> () o = Constant <value_floats = [1.0]> () z = Expand(o, s) "
    "q = ReduceSum(z)",
    "Tile": "s = Constant <value_ints = [4000000000]> () o = Constant <value_floats = [1.0]> () z = Tile(o, s) "
    "q = ReduceSum(z)",
    "Range": "a = Constant <value_float = 0.0> () b = Constant <value_float = 9e12> () "
    "i = Constant <value_float = 1.0> () z = Range(a, b, i) q = ReduceSum(z)",
    "doubled and doubled again": "o = Constant <value_floats = [1.0]> () t0 = Concat <axis = 0> (o, o) "
    + " ".join(f"t{i} = Concat <axis = 0> (t{i - 1}, t{i - 1})" for i in range(1, 40))
    + " q = ReduceSum(t39)",
}


@pytest.mark.parametrize("kind", GROWING)
def test_constants_that_would_grow_without_end_are_left_alone(here, kind):
    written(here, f"g (float[N] x) => (float[M] y) {{ {GROWING[kind]} y = Add(q, x) }}")
    result = run("optimize", "m.onnx", "-o", "out.onnx")
    assert result.exit_code == 0, result.output
    assert (here / "out.onnx").stat().st_size < 20_000
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 3 << 20


@pytest.mark.parametrize(("levels", "calls"), [(10_000, 1), (60, 2)], ids=["deep", "doubled and doubled again"])
def test_functions_that_explode_are_left_alone(here, levels, calls):
    """Each calls the next, once, ten thousand deep, or twice, so that their bodies would be 2^60 nodes."""
    model = proto("agraph (float[3] x) => (float[3] y) { a = own.f0(x) b = Neg(a) c = Neg(b) y = Identity(c) }")
    imports = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("own", 1)]
    model.opset_import.add(domain="own", version=1)
    for level in range(levels):
        names = ["p", *(f"t{call}" for call in range(calls - 1)), "q"]
        op, domain = (f"f{level + 1}", "own") if level + 1 < levels else ("Neg", "")
        nodes = [onnx.helper.make_node(op, [a], [b], domain=domain) for a, b in pairwise(names)]
        model.functions.append(onnx.helper.make_function("own", f"f{level}", ["p"], ["q"], nodes, imports))
    onnx.save(model, here / "m.onnx")
    result = run("optimize", "m.onnx", "-o", "out.onnx", "--verify", "structure")
    assert result.exit_code == 0, result.output
    assert [node.op_type for node in onnx.load(here / "out.onnx").graph.node] == ["f0"]
    inlined = run("optimize", "m.onnx", "-o", "other.onnx", "--inline")
    assert inlined.exit_code == 2
    assert inlined.stderr.count("\n") == 1


@pytest.mark.parametrize("size", [10**9, 2**62])
def test_inputs_that_no_machine_holds_are_not_drawn(here, size):
    written(here, f"g (float[{size}] x) => (float[{size}] y) {{ a = Relu(x) y = Relu(a) }}")
    result = run("optimize", "m.onnx", "-o", "out.onnx")
    assert result.exit_code == 0, result.output
    assert "1 unverified" in result.stdout
    assert "too large to be drawn" in " ".join(result.stdout.split())


def test_a_rule_that_a_contradiction_confuses_leaves_the_place_alone(here):
    written(here, "g (float[3, 4] x) => (float[4, 3] y) { a = Transpose <perm = [0]> (x) y = Transpose(a) }")
    result = run("optimize", "m.onnx", "-o", "out.onnx")
    assert result.exit_code == 0, result.output
