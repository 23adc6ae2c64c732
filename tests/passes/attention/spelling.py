"""An attention as text, in parts that can be spelled otherwise."""

from __future__ import annotations

import numpy as np

HEADS, SIZE = 4, 8
HIDDEN = HEADS * SIZE
PARTS = {
    "opset": '["" : 18]',
    "inputs": "float[b, s, 32] q, float[b, s, 32] k, float[b, s, 32] v",
    "output": "float[b, s, 32] y",
    "query": "q4 = Reshape(q, apart) qt = Transpose<perm = [0, 2, 1, 3]>(q4)",
    "key": "k4 = Reshape(k, apart) kt = Transpose<perm = [0, 2, 3, 1]>(k4)",
    "value": "v4 = Reshape(v, apart) vt = Transpose<perm = [0, 2, 1, 3]>(v4)",
    "scale": "qs = Mul(qt, root)",
    "scores": "scores = MatMul(qs, kt)",
    "added": "",
    "softmax": "p = Softmax<axis = -1>(scores)",
    "result": "o = MatMul(p, vt) ot = Transpose<perm = [0, 2, 1, 3]>(o) y = Reshape(ot, together)",
}
ROOT = np.float32(SIZE**-0.5)
WEIGHTS = {
    "apart": np.array([0, 0, HEADS, SIZE]),
    "together": np.array([0, 0, HIDDEN]),
    "root": ROOT,
    "fourth": np.float32(SIZE**-0.25),
    "zero": np.float32(0),
    "infinite": np.float32(-np.inf),
    "lowest": np.finfo(np.float32).min,
}
FREE_HEADS = {
    "inputs": "float[b, s, h, 8] q, float[b, s, h, 8] k, float[b, s, h, 8] v",
    "output": "float[b, s, h, 8] y",
    "query": "qt = Transpose<perm = [0, 2, 1, 3]>(q)",
    "key": "kt = Transpose<perm = [0, 2, 3, 1]>(k)",
    "value": "vt = Transpose<perm = [0, 2, 1, 3]>(v)",
    "result": "o = MatMul(p, vt) y = Transpose<perm = [0, 2, 1, 3]>(o)",
}
"""Of heads that come set apart, nobody knows how many."""
GUARDED = "soft = Softmax<axis = -1>(scores) bad = IsNaN(soft) p = Where(bad, zero, soft)"


def attention(**parts: str) -> str:
    """The model, `parts` spelled otherwise."""
    spelled = PARTS | parts
    head = f"<ir_version: 10, opset_import: [{spelled.pop('opset')[1:-1]}]>"
    inputs, output = spelled.pop("inputs"), spelled.pop("output")
    return f"{head} agraph ({inputs}) => ({output}) {{ {' '.join(spelled.values())} }}"


def masked(spelling: str, inputs: str, **parts: str) -> str:
    """The model with something added to the scores: `spelling` makes `scores` of `plain`."""
    given = {"scores": "plain = MatMul(qs, kt)", "added": spelling} | parts
    return attention(inputs=f"{PARTS['inputs']}, {inputs}", **given)


def weights(text: str, **more: object) -> dict[str, object]:
    """Those of the constants that the model reads."""
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in (WEIGHTS | more).items() if name in words}
