"""Results keyed by content: what was compiled before, of the same bytes in the same way, is not compiled again."""

from graphopt.cache.results import Cache

__all__ = ["Cache"]
