"""What each operator makes of the types of its inputs. Importing this package fills the tables of `call`."""

from graphopt.analysis.operators import elementwise, layout, linear, reduce

__all__ = ["elementwise", "layout", "linear", "reduce"]
