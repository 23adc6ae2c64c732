"""Data: samples and labels out of files, streamed, checked against a model before anything runs."""
