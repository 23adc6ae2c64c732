"""Whether two models are the same program once ONNX Runtime has optimised them, whatever their tensors are called."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import onnx

from tests.bench.optimisers import offline


def fingerprint(path: Path) -> str:
    """Of what the runtime makes of a model when it loads it: equal programs have equal ones, up to names and order."""
    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        offline(path, optimised)
        model = onnx.load(optimised)
    return _of_graph(model.graph, {})


def _of_graph(graph: onnx.GraphProto, outer: dict[str, str]) -> str:
    """Every tensor by how it is computed: operator, attributes, and what it reads."""
    known = {**outer, "": ""}
    known |= {one.name: _hash("input", one.name) for one in graph.input}
    known |= {
        one.name: _hash(one.data_type, list(one.dims), one.raw_data or one.SerializeToString())
        for one in graph.initializer
    }
    nodes = []
    for node in graph.node:
        parts = sorted(_of_attribute(one, known) for one in node.attribute)
        nodes.append(_hash(node.domain, node.op_type, parts, [known[name] for name in node.input]))
        known |= {name: _hash(nodes[-1], place) for place, name in enumerate(node.output) if name}
    return _hash(sorted(nodes), [known[one.name] for one in graph.output])


def _of_attribute(attribute: onnx.AttributeProto, known: dict[str, str]) -> str:
    if attribute.type == onnx.AttributeProto.GRAPH:
        return _hash(attribute.name, _of_graph(attribute.g, known))
    return _hash(attribute.SerializeToString(deterministic=True))


def _hash(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()
