"""The law of pruning: to zero the consumers of atoms, and to take the atoms out, are the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphopt.ir.reader import load
from graphopt.numerics.contract import Judged
from graphopt.numerics.run import InProcess
from graphopt.pipeline.context import Context
from passes.prune.cut import cut, masked
from passes.prune.grouping import Grouping
from passes.prune.rebuild import rebuild
from passes.prune.selection import emptied
from tests.passes.prune import networks

TOLERANCE = 2e-4
"""Of the largest output: sums of other lengths, through some ten layers in single precision."""


def chosen(grouping, seed, share):
    """Atoms of every group, drawn, but never all that lie on an axis."""
    rng = np.random.default_rng(seed)
    drawn = {group: rng.permutation(group.atoms)[: int(group.size * share)] for group in grouping.groups}
    return {group: np.setdiff1d(gone, emptied(grouping, group, gone)) for group, gone in drawn.items()}


def zeroed(proto, seed, share):
    model = load(proto)
    context = Context(model)
    grouping = Grouping(model, context.shapes)
    for group, gone in chosen(grouping, seed, share).items():
        values = masked(grouping, group, gone)[0]
        assert rebuild(context, grouping, values, "mask", Judged(), values=values)
    context.editor.flush()
    return model.to_proto()


def taken_out(proto, seed, share):
    model = load(proto)
    context = Context(model)
    grouping = Grouping(model, context.shapes)
    plan = {group: gone for group, gone in chosen(grouping, seed, share).items() if len(gone)}
    assert cut(context, grouping, plan) == list(plan)
    return model.to_proto(), grouping, plan


def agree(left, right, feeds):
    """The two compute the same, but for rounding."""
    (expected,), (found,) = (InProcess().run(model.SerializeToString(), feeds) for model in (left, right))
    scale = float(np.abs(expected).max())
    assert found.shape == expected.shape
    assert np.isfinite(scale)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * max(scale, 1e-3))


def holds(proto, seed, share):
    """The law holds for a network; returns the groups that were cut, by kind."""
    smaller, grouping, plan = taken_out(proto, seed, share)
    onnx.checker.check_model(smaller)
    (source,) = proto.graph.input
    shape = [dim.dim_value or 2 for dim in source.type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).standard_normal(shape).astype("f4")
    agree(zeroed(proto, seed, share), smaller, {source.name: x})
    return sorted(str(group.kind) for group in plan), grouping


drawn = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS, SHARES = st.integers(0, 10**6), st.sampled_from([0.25, 0.5, 0.75])


@drawn
@given(st.lists(st.sampled_from(networks.PICTURES), max_size=5), SEEDS, SHARES)
def test_the_law_holds_for_pictures(layers, seed, share):
    kinds, _ = holds(networks.pictures(seed, layers), seed, share)
    assert "units" in kinds


@drawn
@given(st.lists(st.sampled_from(networks.TOKENS), max_size=4), SEEDS, SHARES)
def test_the_law_holds_for_sequences(layers, seed, share):
    holds(networks.tokens(seed, layers), seed, share)


@pytest.mark.parametrize("layer", networks.PICTURES + networks.JUMPING, ids=lambda layer: layer.__name__)
def test_channels_around_every_layer_of_pictures(layer):
    kinds, grouping = holds(networks.pictures(0, [layer]), 0, 0.5)
    assert "channels" in kinds
    assert not [group for group in grouping.pinned if group.name == "w0"], "the first convolution is pinned"


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (networks.feed_forward, "units"),
        (networks.gated_feed_forward, "units"),
        (networks.attention, "heads"),
        (networks.einsum_attention, "heads"),
        (networks.packed_attention, "heads"),
        (networks.fused_attention, "heads"),
        (networks.wholly_fused_attention, "heads"),
        (networks.shared_attention, "heads"),
        (networks.packed_shared_attention, "heads"),
        (networks.recurrent, "hidden"),
        (networks.fused_norms, "units"),
        (networks.sequence, "units"),
    ],
    ids=lambda given: getattr(given, "__name__", given),
)
def test_every_layer_of_sequences_has_its_kind_of_group(layer, kind):
    kinds, _ = holds(networks.tokens(0, [layer]), 0, 0.5)
    assert kind in kinds
