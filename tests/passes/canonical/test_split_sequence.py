"""Pieces of sequences, as PyTorch's exporter writes chunks."""

from __future__ import annotations

import numpy as np

from passes.canonical.split_sequence import split_sequence
from tests.support import fires, refuses

CHUNKS = """
    agraph (float[2, 6] x) => (float[2, 4] a, float[2, 2] b) {
        s = SplitToSequence<axis = 1>(x, n)
        a = SequenceAt(s, first)
        b = SequenceAt(s, last)
    }
"""
AT = {"first": np.array(0), "last": np.array(-1)}


def test_pieces_of_one_length_with_a_rest():
    model = fires(split_sequence, CHUNKS, {"n": np.array(4)} | AT, leaves=["Split", "Split"])
    assert [list(node.outputs[0].inputs[0].inputs[1].values) for node in model.graph.nodes] == [[4, 2], [4, 2]]


def test_pieces_of_given_lengths():
    fires(split_sequence, CHUNKS, {"n": np.array([4, 2])} | AT, leaves=["Split", "Split"])


def test_a_single_piece():
    text = CHUNKS.replace("[2, 4] a", "[2, 6] a").replace("[2, 2] b", "[2, 6] b")
    fires(split_sequence, text, {"n": np.array(6)} | AT, leaves=["Split", "Split"])


def test_pieces_of_one():
    text = CHUNKS.replace("[2, 4] a", "[2, 1] a").replace("[2, 2] b", "[2, 1] b")
    fires(split_sequence, text, {"n": np.array(1)} | AT, leaves=["Split", "Split"])


def test_since_lengths_are_an_input_of_split():
    text = '<ir_version: 7, opset_import: ["" : 13]>' + CHUNKS
    fires(split_sequence, text, {"n": np.array([4, 2])} | AT, leaves=["Split", "Split"])


def test_one_piece_is_shared_by_clean():
    fires("canonical,clean", CHUNKS, {"n": np.array(4)} | AT, leaves=["Split"])


def test_what_is_split_must_be_known():
    free = CHUNKS.replace("float[2, 6] x", "float[2, n] x").replace("float[2, 2] b", "float[2, m] b")
    refuses(split_sequence, free, {"n": np.array(4)} | AT, reason="the length of what is split is unknown")


def test_the_piece_must_be_known():
    text = CHUNKS.replace("float[2, 6] x", "float[2, 6] x, int64 first")
    model = {"n": np.array(4), "last": np.array(-1)}
    fires(split_sequence, text, model, leaves=["SplitToSequence", "SequenceAt", "Split"])
    refuses(split_sequence, text.replace("b = SequenceAt(s, last)", "b = Identity(a)"), model, reason="are unknown")


def test_the_piece_must_be_there():
    refuses(split_sequence, CHUNKS, {"n": np.array(4), "first": np.array(2), "last": np.array(-3)}, reason="no such")


def test_pieces_must_have_a_length():
    refuses(split_sequence, CHUNKS, {"n": np.array(0)} | AT, reason="the length of what is split is unknown")


def test_without_an_axis_it_is_the_first():
    rows = CHUNKS.replace("<axis = 1>", "").replace("[2, 6] x", "[6, 9] x").replace("[2, 4] a", "[4, 9] a")
    model = fires(split_sequence, rows.replace("[2, 2] b", "[2, 9] b"), {"n": np.array(4)} | AT, leaves=["Split"] * 2)
    assert model.graph.nodes[0].outputs[0].inputs[0].inputs[1].values.tolist() == [4, 2]
