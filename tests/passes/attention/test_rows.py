"""Every way to fuse an attention, on several batches, lengths and masks: also rows of which nothing is left.

Both models run in full and in half precision. Where the original gives NaN, so does the result, and nowhere else.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from passes.attention import multi_head_attention
from tests.passes.attention.spelling import GUARDED, PARTS, attention, masked, weights
from tests.passes.attention.test_cached import DECODER
from tests.passes.attention.test_grouped import FREE as GROUPED
from tests.passes.attention.test_grouped import SHAPES
from tests.support import apply, operators, proto, refuses

PASSES = "clean,fix(canonical,fold,fuse,clean),positions,attention,clean"
SIZES = ((1, 1), (2, 7), (3, 12))
TOLERANCE = {np.float32: 1e-4, np.float16: 2e-2}
PAST = 3

ADDED = "m4 = Unsqueeze(mask, i12) bias = Where(m4, zero, {number}) scores = Add(plain, bias)"
REPLACED = "m4 = Unsqueeze(mask, i12) gone = Not(m4) scores = Where(gone, {number}, plain)"
COMPLEMENT = (
    "numbers = Cast<to = {code}>(mask) m4 = Unsqueeze(numbers, i12) none = Sub(one, m4) bias = Mul(none, {number})"
    " scores = Add(plain, bias)"
)
FULL = "bias = Where(mask, zero, {number}) scores = Add(plain, bias)"
EARLIER = "n1 = Shape<start = 1, end = 2>(q) n = Squeeze(n1) r = Range(i0, n, i1) d = Unsqueeze(r, i1v)"
CAUSAL = f"{EARLIER} c = LessOrEqual(r, d) scores = Where(c, plain, {{number}})"
BOTH = f"m4 = Unsqueeze(mask, i12) {EARLIER} c = LessOrEqual(r, d) e = And(c, m4) scores = Where(e, plain, {{number}})"
KEYS, FOR_EACH_QUERY = "bool[b, s] mask", "bool[b, 1, s, s] mask"
MASKED = {
    "added to the scores of keys": (ADDED, KEYS),
    "in place of the scores of keys": (REPLACED, KEYS),
    "for each query": (FULL, FOR_EACH_QUERY),
    "for later keys": (CAUSAL, ""),
    "for later keys and others": (BOTH, KEYS),
    "made of whole numbers": (COMPLEMENT, "int64[b, s] mask"),
}
PROJECTED = {
    "inputs": "float[b, s, 32] x, bool[b, s] mask",
    "query": f"q = MatMul(x, wq) k = MatMul(x, wk) v = MatMul(x, wv) {PARTS['query']}",
    "scores": "plain = MatMul(qs, kt)",
    "added": ADDED.format(number="infinite"),
}
RNG = np.random.default_rng(1)
MORE = SHAPES | {
    "i12": np.array([1, 2]),
    "many": np.float32(-10000),
    "one": np.float32(1),
    **{name: RNG.standard_normal((32, 32)).astype(np.float32) / 6 for name in ("wq", "wk", "wv")},
}


def mask_of(batch: int, length: int, kind: str) -> np.ndarray:
    """(batch, keys): all, the first half, none in the last row, none at all."""
    mask = np.ones((batch, length), bool)
    if kind == "the first half":
        mask[:, (length + 1) // 2 :] = False
    if kind != "all":
        mask[0 if kind == "none" else -1 :] &= kind == "the first half"
    return mask


def feeds(model, batch: int, length: int, kind: str, number: float) -> dict[str, np.ndarray]:
    """Inputs of those sizes. number: what is added to scores that do not count."""
    rng, sizes = np.random.default_rng(0), {"b": batch, "s": length, "p": PAST}
    keys = mask_of(batch, length, kind)
    queries = np.ones((batch, 1, length, length), bool) & keys[:, None, None]
    made = {}
    for tensor in model.graph.input:
        dims = [dim.dim_param or dim.dim_value for dim in tensor.type.tensor_type.shape.dim]
        shape = [sizes.get(dim, dim) for dim in dims]
        given = keys if len(shape) == 2 else queries
        dtype = DTYPES[tensor.type.tensor_type.elem_type]
        drawn = 2 * rng.standard_normal(shape)
        bias = np.where(queries, 0.0, number) if tensor.name == "bias" else drawn
        made[tensor.name] = (given if tensor.name in ("mask", "full") else bias).astype(dtype)
    return made


DTYPES = {1: np.float32, 7: np.int64, 9: np.bool_, 10: np.float16}


def session(model) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def holds(text: str, dtype: type, becomes: str, *, target: str = "ort", number: float = 0.0) -> None:
    """One operator is left of the attention, and the results are the same on all sizes and masks."""
    text = text.replace("{code}", "10" if dtype is np.float16 else "1")
    text = text.replace("float[", "float16[") if dtype is np.float16 else text
    given = weights(text, **MORE | {"lowest": np.finfo(dtype).min})
    arrays = {name: np.asarray(value) for name, value in given.items()}
    constants = {name: value.astype(dtype) if value.dtype.kind == "f" else value for name, value in arrays.items()}
    before = proto(text, constants)
    result = apply(PASSES, text, constants, target=target)
    assert not result.report.rolled_back, result.report
    left = operators(result.model)
    assert (left[becomes], left["Softmax"]) == (1, 0), left
    pair = session(before), session(result.model.to_proto())
    for size in SIZES:
        for kind in ("all", "the first half", "an empty row", "none"):
            fed = feeds(before, *size, kind, number)
            for expected, found in zip(*(one.run(None, fed) for one in pair), strict=True):
                assert np.array_equal(np.isnan(found), np.isnan(expected)), (size, kind)
                largest = np.abs(expected[np.isfinite(expected)]).max(initial=1e-6)
                np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * largest)


precisions = pytest.mark.parametrize("dtype", [np.float32, np.float16])
guards = pytest.mark.parametrize("softmax", [PARTS["softmax"], GUARDED], ids=["plain", "guarded"])


@precisions
@guards
@pytest.mark.parametrize("number", ["infinite", "lowest", "many"])
@pytest.mark.parametrize("name", ["added to the scores of keys", "for each query"])
def test_what_is_added(name, number, softmax, dtype):
    spelling, mask = MASKED[name]
    holds(spelled(spelling.format(number=number), mask, softmax), dtype, "MultiHeadAttention")


@guards
@pytest.mark.parametrize(
    ("number", "dtype"), [("infinite", np.float32), ("lowest", np.float32), ("infinite", np.float16)]
)
def test_later_keys(number, softmax, dtype):
    holds(spelled(CAUSAL.format(number=number), "", softmax), dtype, "MultiHeadAttention")


@precisions
@guards
@pytest.mark.parametrize("name", ["in place of the scores of keys", "for later keys and others"])
def test_what_takes_the_place_of_scores(name, softmax, dtype):
    spelling, mask = MASKED[name]
    holds(spelled(spelling.format(number="infinite"), mask, softmax), dtype, "MultiHeadAttention")


TWICE = {
    "the lowest number in place of the lowest": "s1 = Where(gone, lowest, plain) scores = Where(full, s1, lowest)",
    "the lowest number in place of infinity": "s1 = Where(gone, infinite, plain) scores = Where(full, s1, lowest)",
    "infinity in place of the lowest number": "s1 = Where(gone, lowest, plain) scores = Where(full, s1, infinite)",
    "the lowest number in place of a sum": "s1 = Add(plain, bias) scores = Where(gone, lowest, s1)",
    "the lowest number added to itself": "s1 = Where(gone, lowest, plain) scores = Add(s1, bias)",
}


@guards
@pytest.mark.parametrize("name", TWICE)
def test_two_masks(name, softmax):
    spelling = f"m4 = Unsqueeze(mask, i12) gone = Not(m4) {TWICE[name]}"
    inputs = f"{KEYS}, bool[b, 1, s, s] full" if "full" in spelling else f"{KEYS}, float[b, 1, s, s] bias"
    text = masked(spelling, inputs, softmax=softmax)
    holds(text, np.float32, "MultiHeadAttention", number=float(np.finfo(np.float32).min))


@pytest.mark.parametrize(
    ("number", "dtype"), [("lowest", "float16"), ("many", "float16"), ("many", "float")], ids="-".join
)
def test_a_number_in_place_of_scores_that_is_no_infinity_when_added_is_refused(number, dtype):
    """A row of which nothing is left is then the mean of all values, which it would not be."""
    text = masked(REPLACED.format(number=number), KEYS).replace("float[", f"{dtype}[")
    floating = np.float16 if dtype == "float16" else np.float32
    given = weights(text, **MORE | {"lowest": np.finfo(floating).min})
    constants = {name: np.asarray(one).astype(floating) if np.ndim(one) == 0 else one for name, one in given.items()}
    refuses(multi_head_attention, text, constants, reason="too small to be one that is added")


@precisions
@guards
@pytest.mark.parametrize("number", ["lowest", "many"])
def test_a_mask_of_whole_numbers(number, softmax, dtype):
    spelling, mask = MASKED["made of whole numbers"]
    holds(spelled(spelling.replace("{number}", number), mask, softmax), dtype, "MultiHeadAttention")


def spelled(spelling: str, mask: str, softmax: str) -> str:
    if mask:
        return masked(spelling, mask, softmax=softmax)
    return attention(scores="plain = MatMul(qs, kt)", added=spelling, softmax=softmax)


@precisions
@guards
@pytest.mark.parametrize("number", [-np.inf, "lowest"])
def test_a_bias_that_is_given(number, softmax, dtype):
    text = masked("scores = Add(plain, bias)", "float[b, 1, s, s] bias", softmax=softmax)
    lowest = float(np.finfo(dtype).min)
    holds(text, dtype, "MultiHeadAttention", number=lowest if number == "lowest" else number)


@precisions
@guards
def test_a_past(softmax, dtype):
    holds(attention(**DECODER | {"softmax": softmax}), dtype, "MultiHeadAttention")


@precisions
@guards
def test_projections(softmax, dtype):
    holds(attention(**PROJECTED | {"softmax": softmax}), dtype, "Attention")


@pytest.mark.parametrize(("number", "dtype"), [("lowest", np.float32), ("infinite", np.float16)])
def test_heads_that_share_keys_and_values(number, dtype):
    text = attention(**GROUPED).replace("lowest", number)
    holds(text, dtype, "GroupQueryAttention", target="cpu")


def test_heads_that_share_keys_and_values_in_half_precision_for_cuda():
    text = attention(**GROUPED).replace("lowest", "infinite")
    holds(text, np.float16, "GroupQueryAttention", target="cuda")


@guards
@pytest.mark.parametrize("number", ["infinite", "lowest"])
def test_for_a_cpu(number, softmax):
    for spelling, mask in (MASKED["added to the scores of keys"], MASKED["for each query"]):
        text = masked(spelling.format(number=number), mask, softmax=softmax)
        holds(text, np.float32, "MultiHeadAttention", target="cpu")
