"""Two equations: equal if one is a multiple of the other, different if no solution fits both.

A solution of the first is made by choosing all names but one, in which it is linear, and solving
for that one. If it violates the second at all points of each kind (`numeric`), the equations are
different. What is neither is left undecided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from minireason.verify.ball import Ball, UndefinedError
from minireason.verify.canonical import Form, NoFormError, form, monomial_ratio, scaled_by
from minireason.verify.expression import Node, has_constants, names, read_expression
from minireason.verify.notation import has_words, with_own_names
from minireason.verify.numeric import LOGS_OF_NO_BASE, Finding, Point, compare_renamed
from minireason.verify.value import evaluate

Equation = tuple[Node, Node]

_MAX_TERMS = 12
_CLOSE = 1e-9
_UNDEFINED = (UndefinedError, OverflowError, ValueError, ZeroDivisionError)
_CAPITALS = re.compile(r"[A-Z]{2}")
_OF_TIME = re.compile(r"\(t\)")


def compare_equations(gold: str, given: str, places: int) -> bool | None:
    """Whether two normalised equations have the same solutions, None where that is open."""
    if gold.count("=") != 1 or given.count("=") != 1:
        return None
    first, second = _read(gold), _read(given)
    if first is None or second is None:
        return None
    if _is_multiple(first, second):
        return True
    trees = (*first, *second)
    if any(map(_has_words, (gold, given))) or any(map(has_constants, trees)):
        return None
    here, there = (names(sides[0]) | names(sides[1]) for sides in (first, second))

    def at(point: Point) -> Finding | None:
        found = {_violates(first, second, point, places, base) for base in LOGS_OF_NO_BASE}
        return found.pop() if len(found) == 1 else None

    return False if compare_renamed(here, there, at) == "differ" else None


def _read(text: str) -> Equation | None:
    text = with_own_names(text)
    if "t" not in _letters(_OF_TIME.sub("", text)):
        text = _OF_TIME.sub("", text)  # `\\theta(t)` is \\theta where time is not used otherwise
    left, right = (read_expression(side, is_wide=True) for side in text.split("="))
    return None if left is None or right is None else (left, right)


def _has_words(text: str) -> bool:
    """Whether letters in a row may be one name, as in `AC=MC`."""
    return has_words(text) or bool(_CAPITALS.search(text))


def _letters(text: str) -> set[str]:
    return set(re.findall(r"\\[a-zA-Z]+|_\{\w+\}|[a-zA-Z]", text))


def _is_multiple(first: Equation, second: Equation) -> bool:
    """Whether the difference of the sides is one monomial times that of the other.

    A name in the monomial must not make either equation empty where it is zero: `x^2=x` is not
    `x=1`, but `Rx=1` is `x=\\frac{1}{R}`.
    """
    try:
        one, other = (form(("add", left, ("neg", right))) for left, right in (first, second))
        if not one or len(one) != len(other) or len(one) > _MAX_TERMS:
            return False
        return any(_is_ratio(ratio, one, other) for ratio in _ratios(one, other))
    except (NoFormError, ZeroDivisionError):
        return False


def _ratios(one: Form, other: Form) -> Iterator[Form]:
    start = min(one.items(), key=repr)
    return (monomial_ratio(start, term) for term in other.items())


def _is_ratio(ratio: Form, one: Form, other: Form) -> bool:
    ((monomial, _),) = ratio.items()
    is_plain = all(factor[0] in ("name", "pi", "e") for factor, _ in monomial)
    is_nowhere_empty = all(
        min(dict(term).get(factor, Fraction(0)) for term in terms) <= 0
        for factor, _ in monomial
        for terms in (one, other)
    )
    return is_plain and is_nowhere_empty and scaled_by(one, ratio) == other


def _violates(
    first: Equation, second: Equation, point: Point, places: int, log_base: float
) -> Finding | None:
    """ "differ" if a solution of the first near the point is surely none of the second."""
    for name in sorted((names(first[0]) | names(first[1])) & point.keys()):
        try:
            solution = {**point, name: _solved(first, name, point, log_base)}
            left, right = (evaluate(side, solution, log_base) for side in second)
        except _UNDEFINED:
            continue
        size = max(abs(left.centre), abs(right.centre))
        error = left.radius + right.radius + max(_CLOSE * size, 10.0**-places)
        return "differ" if abs(left.centre - right.centre) > error else "agree"
    return None


def _solved(sides: Equation, name: str, point: Point, log_base: float) -> Ball:
    """The value of a name in which an equation is linear; raises `UndefinedError`."""

    def excess(value: Ball) -> Ball:
        there = {**point, name: value}
        return evaluate(sides[0], there, log_base) + -evaluate(sides[1], there, log_base)

    start = excess(Ball(0j))
    slope = excess(Ball(1 + 0j)) + -start
    value = -start / slope
    left = excess(value)
    if abs(left.centre) > left.radius or abs(value.centre) < _CLOSE:
        raise UndefinedError  # not linear, or zero as in `xy=x^2`, where `y=x` is meant
    return value
