"""Everything that graphopt raises on purpose.

GraphoptError                    exit code 2, one clear sentence, never a traceback
|-- UsageError                   a pass, rule, option or argument that does not exist or does not fit
|-- ModelError                   a file that cannot be read as a model, or a model that contradicts itself
|   `-- UnsafeModelError         a model that reaches outside its folder, or asks for absurd resources
|-- OutputError                  the result cannot be written
|-- RunFailure                   a reference run did not come to an end (graphopt.numerics.session)
|-- PassError                    a pass broke its own promise (structure, interface, termination)
|-- BudgetError                  the best result that was found breaks a limit: exit code 1
`-- VerificationError            the result disagrees with the original and could not be repaired: exit code 1
"""

from __future__ import annotations

from typing import Any


class GraphoptError(Exception):
    """Base of all errors that are meant for the user: the text says what was found, where, and what to do."""


class UsageError(GraphoptError):
    """The caller asked for something that does not exist or does not fit."""


class ModelError(GraphoptError):
    """The input is not a readable, self-consistent ONNX model."""


class UnsafeModelError(ModelError):
    """The model refers to data outside its folder, or declares sizes that no machine can hold."""


class OutputError(GraphoptError):
    """The result cannot be written where it was asked to be."""


class PassError(GraphoptError):
    """A pass produced an invalid graph or did not terminate."""


class VerificationError(GraphoptError):
    """The optimised model disagrees with the original beyond the contracts of its rewrites."""


class BudgetError(GraphoptError):
    """No result stays within the budget. `result`: the best that was found, with its report (`graphopt.Result`)."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result
