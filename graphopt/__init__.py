"""graphopt: a verified, declarative graph compiler for ONNX models."""
