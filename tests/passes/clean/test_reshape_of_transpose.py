from __future__ import annotations

import numpy as np

from passes.clean.reshape_of_transpose import reshape_of_transpose
from tests.support import fires, refuses

TEXT = "agraph (float[{shape}] x) => (float[{out}] y) {{ a = Transpose<perm = [0, 2, 3, 1]>(x) y = Reshape(a, t) }}"


def target(*lengths):
    return {"t": np.array(lengths, np.int64)}


def test_one_channel_moves_without_moving_anything():
    fires(reshape_of_transpose, TEXT.format(shape="N, 1, 4, 5", out="N, 20"), target(-1, 20), leaves=["Reshape"])


def test_several_channels_move():
    reason = "longer than 1"
    refuses(reshape_of_transpose, TEXT.format(shape="N, 2, 4, 5", out="N, 40"), target(-1, 40), reason=reason)


def test_lengths_copied_from_the_input_are_other_lengths():
    text = TEXT.format(shape="2, 1, 4, 5", out="2, 4, 5")
    refuses(reshape_of_transpose, text, target(0, 0, -1), reason="copies lengths")


def test_axes_that_are_reversed():
    text = """<ir_version: 3, opset_import: ["" : 5]> agraph (float[N, 1] x) => (float[N] y) {
        a = Transpose(x)  y = Reshape(a, t) }"""
    fires(reshape_of_transpose, text, target(-1), leaves=["Reshape"])
    refuses(reshape_of_transpose, text.replace("[N, 1] x", "[N, 2] x"), target(-1), reason="longer than 1")


def test_unknown_axes_and_lengths():
    text = TEXT.format(shape="N, 1, 4, 5", out="A, B").replace(" x)", " x, int64[2] t)")
    refuses(reshape_of_transpose, text, reason="copies lengths, or is not known")
    text = "agraph (float[N] z, int64[K] s) => (float[M] y) { x = Reshape(z, s)  a = Transpose(x)  y = Reshape(a, t) }"
    refuses(reshape_of_transpose, text, target(-1), reason="the number of axes is unknown")
