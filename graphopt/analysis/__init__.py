"""What can be said of a model without running it."""

from graphopt.analysis.binding import default_binding
from graphopt.analysis.shapes import Shapes
from graphopt.analysis.types import SymbolicArray, TypeInfo

__all__ = ["Shapes", "SymbolicArray", "TypeInfo", "default_binding"]
