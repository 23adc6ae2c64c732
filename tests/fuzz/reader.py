"""A coverage-guided fuzzer of reading, checking and writing: `python -m tests.fuzz.reader [-max_total_time=3600] DIR`.

It needs atheris (`pip install --group fuzz`), and keeps what it finds interesting in DIR. Whatever the bytes are,
they are a model that can be written again, or a ModelError.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["graphopt.ir"]):
    from graphopt.errors import GraphoptError
    from graphopt.ir.reader import load
    from graphopt.ir.schema import checked


def one(content: bytes) -> None:
    """Read, check and write."""
    try:
        checked(load(content)).to_proto()
    except GraphoptError:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
