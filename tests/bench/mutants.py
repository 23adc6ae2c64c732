"""Small mistakes put into the source of a rule, one at a time: constants, axes, guards, operators, operands."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
OPERATORS = {"Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul", "Max": "Min", "Min": "Max"}
COMMUTATIVE = frozenset({"Add", "Mul", "Max", "Min", "Sum", "And", "Or", "Equal"})
"""Operators whose operands may be swapped: that is no mistake."""
UNTOUCHED = frozenset({"numerics", "emits", "strict", "final"})
"""What a rule promises and what it writes are not what it does; nor is what makes a mistake of ours an error, or
whether a rule that declined is asked in vain once more."""
PLACES = (ast.FunctionDef, ast.Assign)
"""Where a rule says what it does: functions with their decorators, and patterns."""


@dataclass(frozen=True)
class Mutant:
    """One mistake in a module. what: in words; line: where; index, variant: of the node, and of what is done to it."""

    line: int
    what: str
    index: int
    variant: int


def mutants(source: str) -> list[Mutant]:
    """Every mistake that can be made in a module."""
    tree = ast.parse(source)
    inside = set(_inside(tree))
    return [
        Mutant(getattr(node, "lineno", 0), what, index, variant)
        for index, node in enumerate(ast.walk(tree))
        if node in inside
        for variant, change in enumerate((_first, _second))
        if (what := change(copy.deepcopy(node)))
    ]


def planted(source: str, mutant: Mutant) -> ast.Module:
    """The module with the mistake in it."""
    tree = ast.parse(source)
    node = next(node for index, node in enumerate(ast.walk(tree)) if index == mutant.index)
    (_first, _second)[mutant.variant](node)
    return ast.fix_missing_locations(tree)


def _inside(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that are part of what a rule does."""
    waiting: list[ast.AST] = [node for node in tree.body if isinstance(node, PLACES)]
    while waiting:
        node = waiting.pop()
        yield node
        parts = [*node.decorator_list, *node.body] if isinstance(node, ast.FunctionDef) else ast.iter_child_nodes(node)
        waiting += [part for part in parts if not _harmless(node, part)]


def _harmless(node: ast.AST, part: ast.AST) -> bool:
    """Whether a mistake in part of a node makes no difference, or not to what a rule does."""
    match node, part:
        case _, ast.keyword(arg=name):
            return name in UNTOUCHED
        case ast.Call(func=ast.Attribute(attr="reshape")), ast.UnaryOp(op=ast.USub()):
            return True  # whatever is below zero stands for the length that is left
    return False


def _first(node: ast.AST) -> str:
    """Make the mistake in place and say what it is; "" if there is none to make."""
    if isinstance(node, ast.Constant):
        return _other_constant(node)
    if isinstance(node, ast.BoolOp | ast.UnaryOp | ast.Expr):
        return _other_condition(node)
    return _other_operator(node)


def _other_constant(node: ast.Constant) -> str:
    old = node.value
    if isinstance(old, bool):
        node.value = not old
    elif isinstance(old, int):
        node.value = old + 1
    elif isinstance(old, float):
        node.value = old * 1.01 + 0.001
    else:
        return ""
    return f"{old} is {node.value}"


def _other_condition(node: ast.BoolOp | ast.UnaryOp | ast.Expr) -> str:
    match node:
        case ast.BoolOp(op=operator):
            node.op = ast.And() if isinstance(operator, ast.Or) else ast.Or()
            return f"{type(operator).__name__} is {type(node.op).__name__}"
        case ast.UnaryOp(op=ast.Not()):
            node.op = ast.UAdd()
            node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])
            return "a Not is missing"
        case ast.Expr(value=ast.Call()):
            shown = ast.unparse(node.value)
            node.value = ast.Constant(None)
            return f"without {shown}"
    return ""


def _other_operator(node: ast.AST) -> str:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARISONS:
            node.ops = [COMPARISONS[type(operator)]()]
            return f"{type(operator).__name__} is {type(node.ops[0]).__name__}"
        case ast.BinOp(op=operator) if type(operator) in ARITHMETIC:
            node.op = ARITHMETIC[type(operator)]()
            return f"{type(operator).__name__} is {type(node.op).__name__}"
        case ast.Attribute(attr=name) if name in OPERATORS:
            node.attr = OPERATORS[name]
            return f"{name} is {node.attr}"
    return ""


def _second(node: ast.AST) -> str:
    """Mistakes in nodes that have another one already."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("new"), attr=name), args=[first, second, *_]) if (
            name not in COMMUTATIVE
        ):
            node.args[:2] = [second, first]
            return f"the operands of {name} are swapped"
        case ast.Call(func=ast.Attribute(value=ast.Name("new"), attr=name), keywords=[_, *_]):
            dropped = node.keywords.pop()
            return f"{name} without {ast.unparse(dropped)}"
    return ""
