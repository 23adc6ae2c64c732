"""Connected components in vector operations."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from passes.prune.sites import components


@pytest.mark.parametrize("seed", range(20))
def test_components_are_named_by_their_smallest_vertex(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    edges = rng.integers(0, count, (int(rng.integers(0, 60)), 2))
    graph = nx.Graph([tuple(map(int, edge)) for edge in edges])
    graph.add_nodes_from(range(count))
    labels = components(count, edges[:, 0], edges[:, 1])
    expected = {vertex: min(part) for part in nx.connected_components(graph) for vertex in part}
    assert [expected[vertex] for vertex in range(count)] == labels.tolist()


def test_a_long_chain_in_any_order_is_one_component():
    order = np.random.default_rng(0).permutation(50_000)
    assert not components(50_000, order[:-1], order[1:]).any()
