"""What each operator says of its axes; importing fills the table."""

from passes.layout.operators import arithmetic, moving, normal, quantized, reducing, reshaping

__all__ = ["arithmetic", "moving", "normal", "quantized", "reducing", "reshaping"]
