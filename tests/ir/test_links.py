"""Links between nodes and tensors stay mirrored, whatever order they are removed in."""

from __future__ import annotations

import itertools

import pytest

from graphopt.ir.types import Node, Variable


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_readers_can_be_removed_in_any_order(order):
    tensor = Variable("x")
    readers = [Node("Relu", f"n{i}", inputs=[tensor]) for i in range(4)]
    left = list(readers)
    for index in order:
        readers[index].inputs.clear()
        left.remove(readers[index])
        assert list(tensor.outputs) == left
