"""What targets run, and that no rule writes anything else."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

import graphopt
from graphopt import Builder, Close, Match, UsageError, Value, op, rule
from graphopt.target import CPU, CUDA, ORT, PORTABLE, TARGETS, kernels, target_named
from tests.support import apply, fires, operators, refuses

x, bias = Value("x"), Value("bias")

GELU = """
    <ir_version: 10, opset_import: ["" : 20]>
    agraph (float[n, 8] x, float[8] b) => (float[n, 8] y) { s = Add(x, b) y = Gelu(s) }
"""
HALF = GELU.replace("float[", "float16[")
DOUBLE = GELU.replace("float[", "double[")


@rule(op.Gelu(x + bias), numerics=Close(16), emits="com.microsoft::BiasGelu")
def bias_gelu(m: Match, new: Builder):
    """Gelu of a sum."""
    return new.BiasGelu(m[x], m[bias], domain="com.microsoft")


def test_the_runtime_lists_all_that_the_cpu_table_says():
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

    letters = {f"tensor({dtype})": dtype for dtype in kernels.LETTERS.values()}
    every = [kernel for kernel in get_all_opkernel_def() if kernel.provider == "CPUExecutionProvider"]
    newest: dict[str, int] = defaultdict(int)
    found: dict[str, set[str]] = {}
    for kernel in every:
        name = f"{kernel.domain}::{kernel.op_name}" if kernel.domain else kernel.op_name
        newest[name] = max(newest[name], kernel.version_range[1])
    for kernel in every:
        name = f"{kernel.domain}::{kernel.op_name}" if kernel.domain else kernel.op_name
        if kernel.version_range[1] == newest[name] and not kernel.op_name.startswith("Memcpy"):
            data = (types for part, types in kernel.type_constraints.items() if part not in ("U", "B", "T_KV_SCALE"))
            found.setdefault(name, set()).update(letters[one] for types in data for one in types if one in letters)
    missing = {name: floats - found.get(name, set()) for name, floats in kernels.CPU.items()}
    assert not {name: floats for name, floats in missing.items() if floats or name not in found}


def test_ort_is_what_both_providers_run():
    assert ORT.runs("MultiHeadAttention", "com.microsoft", np.dtype(np.float32))
    assert ORT.lacks("GroupQueryAttention", "com.microsoft", np.dtype(np.float32))
    assert CPU.runs("GroupQueryAttention", "com.microsoft", np.dtype(np.float32))
    assert ORT.lacks("FusedGemm", "com.microsoft") == "the target ort does not run com.microsoft::FusedGemm"
    assert CPU.runs("FusedGemm", "com.microsoft")
    assert CUDA.runs("GroupNorm", "com.microsoft")


def test_the_cpu_runs_float16_between_casts_where_it_has_a_float_kernel():
    assert CPU.runs("MultiHeadAttention", "com.microsoft", np.dtype(np.float16))
    assert CPU.lacks("BiasGelu", "com.microsoft", np.dtype(np.float64)) == (
        "the target cpu does not run com.microsoft::BiasGelu on double"
    )


def test_functions_need_no_kernel():
    assert CPU.runs("HardSwish")
    assert CUDA.runs("Constant")
    assert CUDA.lacks("Asin")


def test_operators_that_only_the_runtime_has_are_not_portable():
    assert ORT.runs("SimplifiedLayerNormalization")
    assert PORTABLE.lacks("SimplifiedLayerNormalization")
    assert PORTABLE.runs("RMSNormalization")


def test_domains_of_the_user_are_not_judged():
    assert all(target.runs("Anything", "my.operators") for target in TARGETS.values())


def test_a_rule_writes_what_the_target_runs_and_the_domain_is_imported():
    model = fires(bias_gelu, GELU, leaves=["BiasGelu"])
    assert model.opsets["com.microsoft"] == 1


def test_nothing_is_imported_where_nothing_is_written():
    result = apply(bias_gelu, GELU, target="portable")
    assert set(result.model.opsets) == {""}


def test_a_rule_is_refused_where_the_target_lacks_its_operator():
    reason = "the target portable does not run com.microsoft::BiasGelu"
    refuses(bias_gelu, GELU, target="portable", reason=reason)


def test_a_rewrite_is_refused_where_the_target_lacks_the_dtype():
    refuses(bias_gelu, DOUBLE, target="cpu", reason="the target cpu does not run com.microsoft::BiasGelu on double")
    fires(bias_gelu, HALF, leaves=["BiasGelu"], target="cpu")


def test_a_rule_can_ask_for_the_target():
    seen = []

    @rule(op.Gelu(x), numerics=Close(16))
    def ask(m: Match, new: Builder):
        seen.append(m.target.name)
        m.refuse("only asking")

    apply(ask, GELU, target="cuda")
    assert seen == ["cuda"]


def test_an_unknown_target_is_a_mistake_of_the_user():
    with pytest.raises(UsageError, match="there are: ort, cpu, cuda, portable"):
        target_named("tpu")
    with pytest.raises(UsageError, match="no target"):
        graphopt.optimize("nowhere.onnx", target="tpu")


def test_operators_of_a_model_are_those_that_are_left():
    assert operators(apply(bias_gelu, GELU, target="portable").model) == {"Add": 1, "Gelu": 1}


SKIP = """
    <ir_version: 10, opset_import: ["" : 17]>
    agraph (float[n, 4, 8] x, float[n, 4, 8] k) => (float[n, 4, 8] y) { s = Add(x, k) y = LayerNormalization(s, g) }
"""


@pytest.mark.parametrize(("target", "advised"), [("ort", True), ("cpu", False), ("cuda", False)])
def test_who_runs_a_model_only_on_a_cpu_is_told_of_the_target_for_it(target: str, advised: bool):
    report = apply("blocks", SKIP, {"g": np.ones(8, np.float32)}, target=target).report
    assert ("SkipLayerNormalization" in " ".join(report.after.operators)) == (target != "cpu")
    assert any("say --target cpu" in note for note in report.notes) == advised


def test_a_model_that_was_fused_before_gets_no_such_advice():
    model = apply("blocks", SKIP, {"g": np.ones(8, np.float32)}).model
    assert not graphopt.optimize(model, passes="clean").report.notes
