"""The wire format: skeleton and payloads are the original, and damage is said where it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from graphopt.errors import ModelError
from graphopt.ir import wire


@dataclass
class Piece:
    field: int
    length: int
    content: bytes


def whole(skeleton, markers, buffer):
    """The original again, from what `cut` made of it."""
    for index, place in enumerate(markers.held):
        content = buffer[place.offset : place.offset + place.length]
        markers.held[index] = Piece(place.field, place.length, content)
    pieces = wire.splice(skeleton, markers)
    return b"".join(piece if isinstance(piece, bytes) else piece.content for piece in pieces)


sizes = st.sampled_from([0, 1, 100, wire.CUT - 1, wire.CUT, wire.CUT + 1, 3 * wire.CUT])
names = st.text(max_size=5)


@st.composite
def tensors(draw):
    tensor = TensorProto(name=draw(names), dims=[draw(st.integers(0, 9))], data_type=draw(st.integers(0, 30)))
    fields = draw(st.sets(st.sampled_from(["raw_data", "float_data", "int64_data", "string_data"]), max_size=2))
    for field in sorted(fields):
        size = draw(sizes)
        if field == "raw_data":
            tensor.raw_data = bytes(size)
        elif field == "float_data":
            tensor.float_data.extend([1.5] * (size // 4))
        elif field == "int64_data":
            tensor.int64_data.extend([draw(st.integers(-1, 2**60))] * (size // 8))
        else:
            tensor.string_data.append(b"s" * size)
    tensor.doc_string = draw(names)
    return tensor


@st.composite
def graphs(draw, depth=2):
    graph = onnx.GraphProto(name=draw(names))
    graph.initializer.extend(draw(st.lists(tensors(), max_size=3)))
    for _ in range(draw(st.integers(0, 2))):
        node = graph.node.add(op_type="Op", input=draw(st.lists(names, max_size=2)))
        node.attribute.add(name="t").t.CopyFrom(draw(tensors()))
        node.attribute.add(name="ts").tensors.extend(draw(st.lists(tensors(), max_size=2)))
        if depth:
            node.attribute.add(name="g").g.CopyFrom(draw(graphs(depth - 1)))
            node.attribute.add(name="gs").graphs.extend(draw(st.lists(graphs(depth - 1), max_size=1)))
    for _ in range(draw(st.integers(0, 1))):
        sparse = graph.sparse_initializer.add(dims=[3])
        sparse.values.CopyFrom(draw(tensors()))
        sparse.indices.CopyFrom(draw(tensors()))
    return graph


@given(graphs())
def test_skeleton_and_payloads_are_the_original(graph):
    buffer = ModelProto(ir_version=9, graph=graph, producer_name="p").SerializeToString()
    skeleton, markers = wire.cut(buffer)
    assert ModelProto.FromString(skeleton).graph.name == graph.name
    assert all(place.length >= wire.CUT for place in markers.held)
    assert whole(skeleton, markers, buffer) == buffer


@given(st.binary(max_size=300))
def test_any_bytes_are_cut_or_refused(content):
    try:
        skeleton, markers = wire.cut(content)
    except ModelError:
        return
    assert skeleton == content
    assert not markers.held


def model(*tensors):
    return ModelProto(ir_version=9, graph=onnx.GraphProto(initializer=tensors))


LARGE = numpy_helper.from_array(np.arange(5000.0), "large")


@given(st.data())
def test_any_change_of_a_byte_is_read_or_refused(data):
    content = bytearray(model(LARGE, numpy_helper.from_array(np.arange(3), "small")).SerializeToString())
    heads = [*range(40), *range(len(content) - 60, len(content))]
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.sampled_from(heads))] = data.draw(st.integers(0, 255))
    try:
        skeleton, _ = wire.cut(bytes(content))
    except ModelError:
        return
    assert len(skeleton) <= len(content)


@given(st.integers(0, 2**63))
def test_varint(number):
    written = wire.varint(number)
    assert written == ModelProto(metadata_props=[]).SerializeToString() + written
    assert wire._read(written, 0, len(written), "test") == (number, len(written))


def test_large_payloads_are_gone_from_the_skeleton():
    skeleton, markers = wire.cut(model(LARGE).SerializeToString())
    assert len(skeleton) < 100
    assert len(markers.held) == 1


@pytest.mark.parametrize("keep", [1, 3, 50, 20_000, 40_000])
def test_a_cut_file_says_how_much_is_missing(keep):
    content = model(LARGE).SerializeToString()
    with pytest.raises(ModelError, match=r"truncated|damaged"):
        wire.cut(content[: len(content) - keep])


def test_a_length_beyond_the_message_around_it():
    inner = wire.record(5, wire.varint(9 << 3 | 2) + wire.varint(10_000) + bytes(6000))
    with pytest.raises(ModelError, match=r"tensor at byte \d+ is [\d,]+ bytes too long"):
        wire.cut(wire.record(7, inner))


def test_a_number_without_an_end():
    with pytest.raises(ModelError, match="damaged"):
        wire.cut(b"\x08" + b"\xff" * 20)


@pytest.mark.parametrize("levels", [10, 30, 40, 3000, 10_000])
def test_nesting(levels):
    content = numpy_helper.from_array(np.zeros(1000), "deep").SerializeToString()
    content = wire.record(5, content)
    for _ in range(levels):
        content = wire.record(1, wire.record(5, wire.record(6, content)))
    content = wire.record(7, content)
    if levels <= 30:
        skeleton, markers = wire.cut(content)
        assert len(markers.held) == 1
        assert whole(skeleton, markers, content) == content
    else:
        with pytest.raises(ModelError, match="deeper than 100"):
            wire.cut(content)


def test_values_in_several_pieces_stay_in_the_skeleton():
    half = wire.record(9, bytes(5000))
    content = wire.record(7, wire.record(5, half + half))
    skeleton, markers = wire.cut(content)
    assert skeleton == content
    assert not markers.held


def test_an_attribute_with_two_tensors_is_refused():
    value = wire.record(5, LARGE.SerializeToString())
    content = wire.record(7, wire.record(1, wire.record(5, value + value)))
    with pytest.raises(ModelError, match="two values"):
        wire.cut(content)


def test_a_file_cannot_forge_a_marker():
    forged = TensorProto(name="w", data_type=TensorProto.INT8, dims=[24], raw_data=bytes(24))
    graph = helper.make_graph([], "g", [], [], [forged, LARGE])
    skeleton, markers = wire.cut(helper.make_model(graph).SerializeToString())
    first, second = (markers.find(tensor.raw_data) for tensor in ModelProto.FromString(skeleton).graph.initializer)
    assert first is None
    assert second is not None
