"""Every network and graph of the corpus survives reading and writing, from its file and through a file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from graphopt.ir.reader import load
from graphopt.ir.writer import save, skeleton, to_proto
from tests.ir.equal import assert_same

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FILES = sorted((*CORPUS.glob("nets/*.onnx"), *CORPUS.glob("graphs/*.onnx")))


@pytest.mark.skipif(not FILES, reason=f"the corpus is not at {CORPUS}")
class TestCorpus:
    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_survives(self, path, tmp_path):
        original = onnx.load(path)
        model = load(path)
        assert_same(original, to_proto(model))
        save(model, tmp_path / "out.onnx")
        assert onnx.load(tmp_path / "out.onnx") == to_proto(model)

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_writing_again_changes_no_byte(self, path, tmp_path):
        once, twice = tmp_path / "once.onnx", tmp_path / "twice.onnx"
        save(load(path), once)
        save(load(once), twice)
        assert twice.read_bytes() == once.read_bytes()

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_survives_as_external_data(self, path, tmp_path):
        save(load(path), tmp_path / "out.onnx", external_data=True)
        back = onnx.load(tmp_path / "out.onnx")
        raw = to_proto(load(path))
        for tensor in _tensors(raw):
            if tensor.float_data and tensor.ByteSize() >= 4096:  # laid out anew
                content = onnx.numpy_helper.to_array(tensor).tobytes()
                tensor.ClearField("float_data")
                tensor.raw_data = content
        assert_same(raw, back)

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_skeleton_is_small_and_otherwise_whole(self, path):
        proto = skeleton(load(path))
        assert all(len(tensor.raw_data) < 4096 for tensor in _tensors(proto))
        assert len(proto.graph.node) == len(onnx.load(path).graph.node)


def _tensors(proto):
    return [*proto.graph.initializer, *(a.t for node in proto.graph.node for a in node.attribute)]
