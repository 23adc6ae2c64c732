"""What each operator makes of the types of its inputs. Importing this package fills the tables of `call`."""

from graphopt.analysis.operators import attention, cutting, elementwise, layout, linear, other, quantized, reduce

__all__ = ["attention", "cutting", "elementwise", "layout", "linear", "other", "quantized", "reduce"]
