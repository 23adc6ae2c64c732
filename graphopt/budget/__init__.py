"""Budgets: what a model may lose, take and weigh; and the search for the passes and rewrites that stay within."""

from graphopt.budget.limits import Budget
from graphopt.budget.values import Drop

__all__ = ["Budget", "Drop"]
