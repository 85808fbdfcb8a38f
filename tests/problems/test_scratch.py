"""The worksheet: every line a true fact within the atoms' range, and slips that carry through."""

import re
from fractions import Fraction
from math import isqrt
from random import Random

import pytest

from minireason.problems.families import FAMILIES
from minireason.problems.scratch import STYLES, DerailedError, Scratch

FACT = re.compile(
    r"(?:[A-Z][a-z]+,? (?:[a-z]+ )?|Check: )?([-+*/^()\d]+|sqrt\(\d+\))=([-+*\d]+)\.?"
)


def evaluate(expression: str) -> Fraction:
    if expression.startswith("sqrt"):
        root = isqrt(int(expression[5:-1]))
        assert root * root == int(expression[5:-1])
        return Fraction(root)
    return eval(re.sub(r"(\d+)", r"Fraction(\1)", expression.replace("^", "**")))


def facts_of(solution: str) -> list[tuple[str, str]]:
    lines = solution.split("\n")
    kept = [a for a, b in zip(lines, [*lines[1:], ""], strict=True) if not b.startswith("Wait")]
    matches = [FACT.fullmatch(line) for line in kept]
    return [(m[1], m[2]) for m in matches if m]


def sheet(**slips: int) -> Scratch:
    return Scratch(Random(0), "plain", **slips)


@pytest.mark.parametrize("style", STYLES)
def test_every_fact_of_a_correct_solution_is_true(style: str) -> None:
    for family in FAMILIES.values():
        for level in family.levels:
            for seed in range(12):
                problem = family.sample(Random(seed), level)
                scratch = Scratch(Random(seed), style, check_at=seed % 2, fix_at=2)
                facts = facts_of(problem.solve(scratch))
                assert len(facts) >= scratch.num_facts - 1, scratch.lines
                for left, right in facts:
                    assert evaluate(left) == evaluate(right), (problem, left, right)


def test_two_digit_product_is_split_into_small_facts() -> None:
    scratch = sheet()
    assert scratch.mul(23, 7) == 161
    assert scratch.lines == ["23*7=20*7+3*7", "20*7=140", "3*7=21", "140+21=161"]


def test_long_division_is_split_into_small_facts() -> None:
    scratch = sheet()
    assert scratch.div(161, 7) == 23
    assert scratch.lines == ["161/7=140/7+21/7", "140/7=20", "21/7=3", "20+3=23"]


def test_remainder_is_one_line_with_quotient_and_remainder() -> None:
    scratch = sheet()
    assert scratch.mod(38, 7) == 3
    assert scratch.lines == ["38=7*5+3"]


def test_primitives_agree_with_python_for_all_small_numbers() -> None:
    for a in range(-40, 41):
        for b in range(-40, 41):
            scratch = sheet()
            assert (scratch.add(a, b), scratch.sub(a, b)) == (a + b, a - b)
            assert sheet().mul(a, b) == a * b
            if b:
                assert sheet().div(a * b, b) == a
            if b > 1:
                assert sheet().mod(a, b) == a % b
                assert sheet().divmod(a * a, b) == divmod(a * a, b)
                assert sheet().quotient(a * a, b) == a * a // b


def test_slip_carries_into_what_follows() -> None:
    scratch = sheet(slip_at=0)
    first = scratch.mul(7, 8)
    assert first != 56
    assert scratch.add(first, 5) == first + 5
    assert scratch.lines[1] == f"{first}+5={first + 5}"


def test_corrected_slip_is_written_noticed_and_put_right() -> None:
    scratch = sheet(fix_at=0)
    assert scratch.mul(7, 8) == 56
    wrong = scratch.lines[0].removeprefix("7*8=")
    assert wrong != "56"
    assert scratch.lines[1] == f"Wait, check: 7*8=56, not {wrong}."


def test_check_verifies_by_the_inverse() -> None:
    scratch = sheet(check_at=0)
    scratch.sub(42, 25)
    assert scratch.lines == ["42-25=17", "Check: 17+25=42"]


def test_a_long_division_with_remainder_closes_with_its_result() -> None:
    scratch = sheet()
    assert scratch.divmod(287, 7) == (41, 0)
    assert scratch.lines[-1] == "287=7*41+0"


def test_a_fraction_says_by_what_it_is_reduced() -> None:
    scratch = sheet()
    assert scratch.reduce(10, 15) == (2, 3)
    assert scratch.lines == ["10/15, both by 5:", "10/5=2", "15/5=3"]


def test_terse_solutions_leave_out_what_only_explains() -> None:
    scratch = Scratch(Random(0), "terse")
    scratch.say("Now the sum.")
    scratch.tell("Carefully.")
    scratch.add(2, 3)
    assert scratch.finish("5") == "2+3=5\nThe answer is \\boxed{5}."


def test_what_a_slip_makes_impossible_derails() -> None:
    for impossible in (lambda s: s.div(3, 0), lambda s: s.mod(3, 0), lambda s: s.sqrt(-4)):
        with pytest.raises(DerailedError):
            impossible(sheet())


def test_fraction_is_reduced() -> None:
    assert sheet().fraction(18, 24) == r"\frac{3}{4}"
    assert sheet().fraction(-3, 6) == r"-\frac{1}{2}"
    assert sheet().fraction(24, 8) == "3"
