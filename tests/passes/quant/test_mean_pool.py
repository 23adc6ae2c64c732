"""Means over spatial axes as pooling."""

import pytest

from passes.quant.mean_pool import mean_pool
from tests.support import fires, refuses


def net(axes, keep, shape="1, 4, 5, 6"):
    values = f"int64[{len(axes)}] {{{', '.join(map(str, axes))}}}"
    body = f"a = Constant <value = {values}> ()\n y = ReduceMean <keepdims = {keep}> (x, a)"
    return f"g (float[{shape}] x) => (float[] y) {{ {body} }}"


@pytest.mark.parametrize(("keep", "left"), [(1, ["GlobalAveragePool"]), (0, ["GlobalAveragePool", "Flatten"])])
def test_fires_on_means_over_all_spatial_axes(keep, left):
    shape = "[1, 4, 1, 1]" if keep else "[1, 4]"
    text = net([2, 3], keep).replace("float[] y", f"float{shape} y")
    fires([mean_pool], text, leaves=[*left, "Constant"])


@pytest.mark.parametrize("axes", [[1], [1, 2, 3], [3]])
def test_refuses_other_axes(axes):
    shape = [1 if axis in axes else size for axis, size in enumerate([1, 4, 5, 6])]
    text = net(axes, 1).replace("float[] y", f"float{shape} y")
    refuses([mean_pool], text, reason="other than the spatial axes")


def test_refuses_matrices():
    text = net([1], 1, "3, 4").replace("float[] y", "float[3, 1] y")
    refuses([mean_pool], text, reason="no spatial axes")
