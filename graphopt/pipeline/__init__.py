"""Pipelines: which passes run in which order, under which checks."""
