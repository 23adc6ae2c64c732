from __future__ import annotations

import numpy as np
import pytest

from passes.clean.grouped_transpose import grouped_transpose
from tests.support import fires, refuses

TEXT = """agraph (float[N, 4, 8, 16] x) => (float[N, 4, {out}] y) {{
    a = Reshape(x, merged)
    b = Transpose<perm = [{perm}]>(a)
    y = Reshape(b, split)
}}"""


def targets(merged, split):
    return {"merged": np.array(merged, np.int64), "split": np.array(split, np.int64)}


def test_batch_and_heads_merged_around_the_transpose_of_keys():
    text = TEXT.format(out="16, 8", perm="0, 2, 1")
    model = fires(grouped_transpose, text, targets([-1, 8, 16], [-1, 4, 16, 8]), leaves=["Transpose"])
    assert model.graph.nodes[0].attrs["perm"] == [0, 1, 3, 2]


@pytest.mark.parametrize("perm", ["", "<perm = [1, 0]>"])
def test_axes_of_length_one_at_the_end(perm):
    text = f"""<ir_version: 3, opset_import: ["" : 5]> agraph (float[2, 3, 4, 1] x) => (float[4, 1, 2, 3] y) {{
        a = Reshape(x, merged)  b = Transpose{perm}(a)  y = Reshape(b, split)
    }}"""
    model = fires(grouped_transpose, text, targets([6, 4], [4, 1, 2, 3]), leaves=["Transpose"])
    assert model.graph.nodes[0].attrs["perm"] == [2, 3, 0, 1]


def test_a_split_into_other_lengths_stays():
    text = TEXT.format(out="4, 32", perm="0, 2, 1")
    refuses(grouped_transpose, text, targets([-1, 8, 16], [-1, 4, 4, 32]), reason="another way")


def test_a_regrouping_across_axes_stays():
    text = TEXT.format(out="16, 8", perm="0, 2, 1")
    refuses(grouped_transpose, text, targets([-1, 32, 4], [-1, 4, 16, 8]), reason="merge neighbouring")


def test_an_unknown_rank_stays():
    text = """<ir_version: 10, opset_import: ["" : 21, "of.others" : 1]> agraph (float[N] x) => (float[N, 4, 16, 8] y) {
        u = of.others.Unknown(x)  a = Reshape(u, merged)  b = Transpose<perm = [0, 2, 1]>(a)  y = Reshape(b, split)
    }"""
    refuses(grouped_transpose, text, targets([-1, 8, 16], [-1, 4, 16, 8]), reason="a shape is unknown")
