"""Rules written for other tools, run as passes under graphopt's verification."""

from passes.imported.onnxscript_rules import onnxscript_pass

__all__ = ["onnxscript_pass"]
