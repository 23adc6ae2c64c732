"""Serialised models for the tests of the numerics."""

from __future__ import annotations

import onnx
import onnx.parser

HEADER = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1, "ai.onnx.ml" : 3]>\n'

RELU = "agraph (float[n] x) => (float[n] y) { y = Relu(x) }"
ENDLESS = """agraph (int64 n, float x) => (float y) {
    y = Loop <body = b (int64 i, bool c, float v) => (bool d, float w) { d = Identity(c) w = Neg(v) }> (n, , x)
}"""
"""Runs for ever when `n` is large, a node at a time."""


def model(text: str) -> bytes:
    """What `text` spells in the syntax of onnx.parser, at opset 21."""
    return onnx.parser.parse_model(HEADER + text).SerializeToString()
