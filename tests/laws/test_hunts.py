"""A sample of what `python -m tests.bench corruption`, `mutations` and `faults` do by the thousand."""

from __future__ import annotations

import random

import pytest

from tests.bench import corruption, faults, mutants, mutations, random_models
from tests.bench.damage import damaged
from tests.bench.pool import Limits, results


def drawn_from(seed):
    return random.Random(seed)


def test_damaged_models_are_refused_or_compiled():
    assert corruption.hunt(range(50)) == []


@pytest.mark.parametrize("seed", [449, 475, 2352])
def test_damage_that_was_once_too_much(seed):
    assert corruption.hunt([seed]) == []


@pytest.mark.parametrize("seed", [5848, 6850, 7553, 9940, 11489])
def test_random_models_that_once_went_wrong(seed, tmp_path):
    assert random_models.outcome(tmp_path, seed) == random_models.FINE


def test_damage_depends_on_its_seed_alone():
    content = bytes(range(200))
    assert [damaged(content, drawn_from(seed)) for seed in range(99)] == [
        damaged(content, drawn_from(seed)) for seed in range(99)
    ]
    assert len({damaged(content, drawn_from(seed)) for seed in range(99)}) > 80


def misbehave(number):
    if number == 1:
        import os

        os.abort()
    if number == 2:
        while True:
            pass
    return "fine" if number != 3 else str(len(bytearray(1 << 30)))


def test_children_that_die_or_hang_are_replaced():
    limits = Limits(seconds=1, memory=1 << 30)

    def case(number):
        try:
            return misbehave(number)
        except MemoryError:
            return "memory"

    told = dict(results(case, range(5), limits))
    assert [told[number].partition(":")[0] for number in range(5)] == ["fine", "crash", "hang", "memory", "fine"]


def test_mistakes_are_of_every_kind():
    source = '''
@rule(op.Mul(x, 2.0), numerics=Close(4), opset=7)
def twice(m, new):
    """2 x is x + y - z."""
    takes(m, x)
    m.require(m.rank(x.reshape(-1)) == 2 and not m[x].shared, "no")
    return new.Sub(new.Add(m[x], m[y]), m[z])
'''
    found = {mutant.what: mutants.planted(source, mutant) for mutant in mutants.mutants(source)}
    assert set(found) == {
        "Mul is Div",
        "2.0 is 2.021",
        "7 is 8",
        "2 is 3",
        "Eq is NotEq",
        "And is Or",
        "a Not is missing",
        "without m.require(m.rank(x.reshape(-1)) == 2 and (not m[x].shared), 'no')",
        "without takes(m, x)",
        "Add is Sub",
        "Sub is Add",
        "the operands of Sub are swapped",
    }
    assert len({mutants.ast.dump(tree) for tree in found.values()}) == len(found)


def test_a_mistake_is_noticed():
    module = mutations.ROOT / "passes" / "clean" / "transpose_chain.py"
    found = [(module, mutant) for mutant in mutants.mutants(module.read_text("utf-8")) if mutant.what == "And is Or"]
    assert mutations.hunt(found) == []


def test_a_sample_of_mistakes_is_spread_over_the_rules():
    planned = mutations.plan(only="passes/clean/", each=3)
    modules = {module for module, _ in planned}
    sample = mutations.spread(planned, len(modules))
    assert len(sample) == len(modules) > 1
    assert {module for module, _ in sample} == modules
    assert mutations.spread(planned, len(modules)) == sample


def test_what_rules_share_is_tried_with_the_tests_of_all_of_them():
    module = mutations.ROOT / "passes" / "clean" / "guards.py"
    assert {module for module, _ in mutations.plan(only="clean/guards", shared=True)} == {module}
    assert {path.name for path in mutations.own_tests(module)} > {"test_slice.py", "test_transpose.py"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return faults.prepared(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("name", faults.DEEDS)
def test_the_output_is_the_old_one_or_the_new_one(place, name):
    assert faults.attempt(place, name, drawn_from(0))[1] == ""
