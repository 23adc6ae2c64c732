"""What runs where: the operators, and the floating dtypes, that a compile may count on."""

from graphopt.target.target import CPU, CUDA, HERE, ORT, PORTABLE, TARGETS, Target, advice, target_named

__all__ = ["CPU", "CUDA", "HERE", "ORT", "PORTABLE", "TARGETS", "Target", "advice", "target_named"]
