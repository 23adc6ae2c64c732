"""Rules: patterns that read like mathematics, matched without copies, applied only after a check."""

from graphopt.rewrite.match import Match
from graphopt.rewrite.pattern import Computed, Const, Opt, Pattern, Rest, Value, op, values
from graphopt.rewrite.rule import Rule, rule
from graphopt.rewrite.tape import Builder

__all__ = ["Builder", "Computed", "Const", "Match", "Opt", "Pattern", "Rest", "Rule", "Value", "op", "rule", "values"]
