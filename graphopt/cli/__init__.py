"""The command line: `graphopt optimize`, `inspect`, `passes`, `compare`, `why`. One file for each command."""

from graphopt.cli.app import app, main

__all__ = ["app", "main"]
