"""A makefile for a deployment repository: from recipes, the models that they make."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from graphopt.errors import UsageError
from graphopt.recipe.depfile import dependency, target
from graphopt.recipe.reading import ENDING, Recipe

_TEXT = """\
# Written by `{command}`. Needs GNU make.
# make: builds what is not up to date; make verify: compares and evaluates it; make bench: times it; make clean.
GRAPHOPT ?= graphopt

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.PHONY: all bench clean verify

all : {outputs}

# NAME.toml makes NAME{ending}. On what else that depends, it says in NAME{ending}.d, which is read below.
%{ending} : %.toml
\t$(GRAPHOPT) optimize --recipe '$<' --output '$@' --depfile '$@.d' $(OPTIMIZE_FLAGS)
{rules}
verify : all
{verify}

# One after the other, whatever -j says: what runs beside a measurement spoils it.
bench : all
{bench}

clean :
{clean}

{includes}
"""


def makefile(recipes: Sequence[Recipe], command: str) -> str:
    """The text of a makefile that builds the models of recipes. Raises UsageError for names that make cannot spell.

    command: how this makefile came about, for its first line.
    """
    _check_distinct(recipes)
    outputs = [target(recipe.output) for recipe in recipes]
    return _TEXT.format(
        command=command,
        ending=ENDING,
        outputs=_listed(outputs),
        rules="".join(_rule(recipe) for recipe in recipes if not _regular(recipe)),
        verify="\n".join(line for recipe in recipes for line in _verify(recipe)),
        bench="\n".join(_line("bench", recipe) for recipe in recipes),
        clean="\n".join(_clean(recipe) for recipe in recipes),
        includes="\n".join(f"-include {dependency(recipe.output + '.d')}" for recipe in recipes),
    )


def _check_distinct(recipes: Iterable[Recipe]) -> None:
    made: dict[str, Path] = {}
    for recipe in recipes:
        other = made.setdefault(recipe.output, recipe.path)
        if other is not recipe.path:
            raise UsageError(f"recipes {other} and {recipe.path} both write {recipe.output}: give one another output")


def _regular(recipe: Recipe) -> bool:
    """Whether the pattern rule makes the output of a recipe."""
    return recipe.output == str(recipe.path.with_suffix("")) + ENDING and not set("'\"$") & set(recipe.output)


def _rule(recipe: Recipe) -> str:
    depfile = recipe.output + ".d"
    options = f"--recipe {_word(str(recipe.path))} --output {_word(recipe.output)} --depfile {_word(depfile)}"
    folder = _word(str(Path(recipe.output).parent))
    return (
        f"\n{target(recipe.output)} : {dependency(str(recipe.path))}\n"
        f"\t@mkdir -p {folder}\n\t$(GRAPHOPT) optimize {options} $(OPTIMIZE_FLAGS)\n"
    )


def _verify(recipe: Recipe) -> Iterable[str]:
    """Both models on the same inputs; and on data, if the recipe has some to judge them by."""
    yield _line("compare", recipe)
    if recipe.get("data") is not None or "data" in recipe.settings.get("evaluate", {}):
        yield _line("evaluate", recipe)


def _line(command: str, recipe: Recipe) -> str:
    return f"\t$(GRAPHOPT) {command} --recipe {_word(str(recipe.path))}"


def _clean(recipe: Recipe) -> str:
    files = [recipe.output + ending for ending in ("", ".data", ".d")]
    words = " ".join(map(_word, [*files, *(recipe.get("report") or ())]))
    return f"\trm -f -- {words}\n\trm -rf -- {_word(recipe.output + '.reproducers')}"


def _word(text: str) -> str:
    """A word of a shell command in a recipe of make."""
    return shlex.quote(text).replace("$", "$$")


def _listed(names: Sequence[str]) -> str:
    return "".join(f" \\\n  {name}" for name in names).lstrip() if len(names) > 1 else "".join(names)
