"""Weights in few bits, activations as they are."""
