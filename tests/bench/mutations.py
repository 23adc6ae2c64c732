"""Mutation tests: what small mistakes in the rules do their tests let through?

`python -m tests.bench mutations [--only TEXT] [--each N] [--sample N] [--seconds S] [--jobs J] [--seed N] [--shared]`:
for every module with a rule, N mistakes (--each; all without it) or a fair share of N for all of them (--sample), each
in a process in which the module is imported with it and the rule's own tests run until one fails. A mistake that no
test notices survives: a test is missing there, or the mistake makes no difference. With --shared the modules are those
that rules share, and the tests those of all the rules beside them.
"""

from __future__ import annotations

import argparse
import functools
import importlib.abc
import importlib.util
import itertools
import os
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

from tests.bench.mutants import Mutant, mutants, planted
from tests.bench.pool import Limits, results

ROOT = Path(__file__).parents[2]
RULE = "\n@rule("
KILLED, SURVIVED = "killed", "survived"
LIMITS = Limits(seconds=300.0, memory=8 << 30)


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench mutations")
    parser.add_argument("--only", default="", help="mistakes with this text in their place, path:line:")
    parser.add_argument("--each", type=int, help="so many mistakes in each module")
    parser.add_argument("--sample", type=int, help="so many mistakes in all, spread over the modules")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no new ones after so long")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="chooses the mistakes")
    parser.add_argument("--shared", action="store_true", help="in the modules that rules share")
    given = parser.parse_args(arguments)
    chosen = plan(given.only, given.each, given.seed, shared=given.shared)
    if given.sample:
        chosen = spread(chosen, given.sample, given.seed)
    survivors = hunt(chosen, jobs=given.jobs, seconds=given.seconds)
    if survivors:
        sys.exit(1)


def rule_modules() -> list[Path]:
    """The modules that hold rules."""
    return [path for path in sorted((ROOT / "passes").rglob("*.py")) if RULE in path.read_text("utf-8")]


def shared_modules() -> list[Path]:
    """The modules beside those, which hold none."""
    modules = rule_modules()
    folders = sorted({module.parent for module in modules})
    beside = [path for folder in folders for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    return [path for path in beside if path not in modules]


def own_tests(module: Path) -> list[Path]:
    """The tests of a module's rules: the file named like it, and others of its package that name rules it does not.

    Of a module without rules, all those of its package, those named like it first.
    """
    folder = ROOT / "tests" / module.relative_to(ROOT).parent
    own = folder / f"test_{module.stem}.py"
    if RULE not in module.read_text("utf-8"):
        return sorted(folder.rglob("test_*.py"), key=lambda path: path != own)
    rules = set(re.findall(r"\n@rule\((?:.|\n)*?\ndef (\w+)", module.read_text("utf-8")))
    words = {path: set(re.findall(r"\w+", path.read_text("utf-8"))) for path in sorted(folder.glob("test_*.py"))}
    rules -= words.get(own, set())
    return [path for path, named in words.items() if path == own or rules & named]


Planned = tuple[Path, Mutant]


def plan(only: str = "", each: int | None = None, seed: int = 0, *, shared: bool = False) -> list[Planned]:
    """The mistakes to try, those of one module after those of another; shared: in the modules that rules share."""
    planned: list[Planned] = []
    for module in shared_modules() if shared else rule_modules():
        place = module.relative_to(ROOT)
        found = [mutant for mutant in mutants(module.read_text("utf-8")) if only in f"{place}:{mutant.line}:"]
        if found and own_tests(module):
            rng = random.Random(f"{seed} {module.name}")
            chosen = sorted(rng.sample(range(len(found)), min(each, len(found)))) if each else range(len(found))
            planned += [(module, found[index]) for index in chosen]
    return planned


def spread(planned: Sequence[Planned], count: int, seed: int = 0) -> list[Planned]:
    """So many of them: one from each module in turn, then a second, and so on, in an order that does not favour any."""
    rng = random.Random(seed)
    groups = defaultdict[Path, list[Planned]](list)
    for one in rng.sample(planned, len(planned)):
        groups[one[0]].append(one)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*groups.values()))
    return list(itertools.islice(filter(None, turns), count))


def hunt(planned: Sequence[Planned], *, jobs: int = 1, seconds: float = float("inf")) -> list[str]:
    """Try them and print what came of it. Returns the survivors."""
    for module in ("hypothesis", "onnxruntime", "pytest", "passes", "tests.support"):
        importlib.import_module(module)  # before there are children
    begun, told = time.monotonic(), defaultdict[Path, list[str]](list)
    cases, survivors, failing = list(_controlled(planned)), list[str](), set[Path]()
    case = functools.partial(outcome, cases)
    for number, said in results(case, range(len(cases)), LIMITS, jobs=jobs, until=begun + seconds):
        module, mutant = cases[number]
        if mutant is None and said != SURVIVED:
            failing.add(module)
            print(f"left out  {module.relative_to(ROOT)}: its tests fail without any mistake", flush=True)
        if mutant is None or module in failing:
            continue
        told[module].append(said)
        if said == SURVIVED:
            survivors.append(f"{module.relative_to(ROOT)}:{mutant.line}: {mutant.what}")
            print(f"survived  {survivors[-1]}", flush=True)
    print("\n| rule | mistakes | noticed |\n|---|---|---|")
    for module, outcomes in sorted(told.items()):
        print(f"| {module.relative_to(ROOT)} | {len(outcomes)} | {len(outcomes) - outcomes.count(SURVIVED)} |")
    tried = sum(map(len, told.values()))
    share = f", {1 - len(survivors) / tried:.1%}" if tried else ""
    print(f"\n{tried - len(survivors)} of {tried} noticed{share}, in {time.monotonic() - begun:.0f} s")
    return survivors


def _controlled(planned: Sequence[Planned]) -> Iterator[tuple[Path, Mutant | None]]:
    """The mistakes, and before the first one of each module its tests without any: they must pass."""
    seen = set[Path]()
    for module, mutant in planned:
        if module not in seen:
            seen.add(module)
            yield module, None
        yield module, mutant


def outcome(planned: Sequence[tuple[Path, Mutant | None]], number: int) -> str:
    """Whether the tests notice, in a process of its own: what it has imported is of no use for the next."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = tested(*planned[number])
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return SURVIVED if status == 0 else KILLED


def tested(module: Path, mutant: Mutant | None) -> int:
    """The exit code of the rule's tests with the mistake in it, if there is one."""
    import pytest

    for known in [name for name in sys.modules if name.split(".")[0] in ("passes", "tests")]:
        del sys.modules[known]
    name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
    if mutant is not None:
        code = compile(planted(module.read_text("utf-8"), mutant), str(module), "exec")
        sys.meta_path.insert(0, _Replaced(name, code))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.chdir(ROOT)
    plugins = ("cacheprovider", "unraisableexception", "threadexception")
    options = ["-n0", "-x", "-q", "--assert=plain", "--no-header", *(f"-pno:{plugin}" for plugin in plugins)]
    return int(pytest.main([*options, *map(str, own_tests(module))]))


class _Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module other code."""

    def __init__(self, name: str, code: CodeType) -> None:
        self.name, self.code = name, code

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)  # noqa: S102 - our own source, with a mistake in it
