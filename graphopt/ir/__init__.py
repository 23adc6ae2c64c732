"""The intermediate representation: the only room that touches onnx-graphsurgeon and protobuf."""
