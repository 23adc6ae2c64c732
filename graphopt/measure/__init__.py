"""Measuring models on the user's machine and data: how fast, how large, how good."""
