"""The facts: true, within their range, and slips that differ from the truth."""

import re
from fractions import Fraction
from math import isqrt
from random import Random

import pytest

from minireason.problems.atoms import ATOMS, is_add, is_div, is_mul, square_part
from minireason.problems.facts import draw_atom


def is_true(fact: str) -> bool:
    left, right = fact.split("=")
    if left.startswith("sqrt"):
        return isqrt(int(left[5:-1])) == int(right) and int(right) ** 2 == int(left[5:-1])
    return value_of(left) == value_of(right)


def value_of(expression: str) -> Fraction:
    python = re.sub(r"(\d+)", r"Fraction(\1)", expression.replace("^", "**"))
    return eval(python, {"Fraction": Fraction})


@pytest.mark.parametrize("op", ATOMS)
def test_drawn_facts_and_their_checks_are_true(op: str) -> None:
    rng = Random(op)
    for _ in range(500):
        atom = draw_atom(op, rng)
        assert is_true(str(atom)), atom
        assert not atom.check or is_true(atom.check), atom


@pytest.mark.parametrize("op", ATOMS)
def test_every_fact_has_a_slip_that_is_false(op: str) -> None:
    rng = Random(op)
    for _ in range(500):
        atom = draw_atom(op, rng)
        wrong = [n for n in atom.near if n != atom.value]
        assert wrong
        assert not any(is_true(atom.shown(n)) for n in wrong), atom


def test_a_fact_is_small_enough_to_know_by_heart() -> None:
    assert is_add(140, 21) and is_add(345, 200) and is_add(-40, 99)
    assert not is_add(345, 278)
    assert is_mul(12, 12) and is_mul(-7, 8) and is_mul(9, 70) and is_mul(10, 99)
    assert not is_mul(13, 12) and not is_mul(-9, 70)
    assert is_div(56, 8) and not is_div(57, 8) and not is_div(5, 0)


def test_square_part_is_the_largest_square_below() -> None:
    assert [square_part(n) for n in (1, 8, 12, 48, 50, 72, 77)] == [1, 2, 2, 4, 5, 6, 1]
