"""An ONNX graph as a differentiable PyTorch function: one operator table, and what runs a graph by it."""
