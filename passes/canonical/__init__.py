"""canonical: one spelling where exporters have several, so that patterns need to spell less.

Left alone on purpose:

- Pow(x, 2), which patterns know beside x * x, and which runtimes square just as well; Pow(x, 0.5), which is infinite at
  minus infinity, where Sqrt is NaN.
- Reciprocal(x) and 1 / x, and products with them: the normalisations that exporters spell with them are known to
  fusion in these forms, and the operators differ in the last bit.
- Squeeze and Unsqueeze, which say more about axes than a Reshape, and take no known shape.
- Constants on the left of MatMul, Sub, Div and Pow, which do not commute.
"""

from __future__ import annotations

from graphopt.pipeline.passes import rule_pass
from graphopt.rewrite.rule import Rule
from passes.canonical.add_chain import add_chain, add_chain_integers
from passes.canonical.cast_like import cast_like
from passes.canonical.constant_right import constant_right
from passes.canonical.divide_by_constant import divide_by_constant, divide_by_power_of_two
from passes.canonical.einsum import einsum_product
from passes.canonical.mul_chain import mul_chain, mul_chain_integers
from passes.canonical.negated_condition import negated_condition
from passes.canonical.negated_operand import add_negated, multiply_negated, subtract_negated
from passes.canonical.positive_axes import positive_axes
from passes.canonical.root_of_two import root_of_two
from passes.canonical.split_sequence import split_sequence
from passes.canonical.subtract_constant import subtract_constant
from passes.canonical.sum_of_two import sum_of_two
from passes.canonical.zero_term import zero_term

RULES: tuple[Rule, ...] = (
    constant_right, subtract_constant, divide_by_power_of_two, divide_by_constant, zero_term, sum_of_two, cast_like,
    add_chain, add_chain_integers, mul_chain, mul_chain_integers, add_negated, subtract_negated, multiply_negated,
    positive_axes, split_sequence, negated_condition, einsum_product, root_of_two,
)  # fmt: skip

CANONICAL = rule_pass(
    "canonical",
    """Spell the same thing the same way.

    Constants stand on the right; subtraction of and division by a constant become addition and multiplication;
    constants that follow each other become one; negations go into their neighbours; axes count from the front.""",
    RULES,
)
