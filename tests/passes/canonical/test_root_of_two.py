from __future__ import annotations

import pytest

from passes.canonical.root_of_two import root_of_two
from passes.fuse.activation import gelu
from tests.passes.fuse.spelling import spelled
from tests.support import fires, refuses

BELL = "d = Div(x, 1.41421) e = Erf(d) y = Add(e, 1.0)"


@pytest.mark.parametrize("argument", ["Div(x, 1.41421)", "Mul(x, 0.70711)", "Mul(0.7071085058088826, x)"])
def test_six_digits_become_all(argument):
    fires(root_of_two, spelled(BELL.replace("Div(x, 1.41421)", argument)), leaves=["Mul", "Erf", "Add"])


def test_the_gelu_around_it_fuses():
    text = spelled("d = Div(x, 1.41421) e = Erf(d) a = Add(e, 1.0) m = Mul(x, a) y = Mul(m, 0.5)")
    fires([root_of_two, gelu], text, leaves=["Gelu"])


@pytest.mark.parametrize("wrong", ["1.41421354", "1.4142", "1.414", "1.4", "0.5"])
def test_refuses_other_numbers(wrong):
    refuses(root_of_two, spelled(BELL.replace("1.41421", wrong)))


def test_refuses_an_error_function_by_itself():
    refuses(root_of_two, spelled("d = Div(x, 1.41421) y = Erf(d)"))


@pytest.mark.parametrize("dtype", ["float16", "double"])
def test_refuses_other_precisions(dtype):
    refuses(root_of_two, spelled(BELL, x=f"{dtype}[n, 3, 8]"), reason="float32")
