"""What the values of tensors are while a model runs on data: streamed, and reduced to ranges."""
