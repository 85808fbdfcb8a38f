"""Expressions compared by their values: a difference decides, an agreement is no proof.

Two constants differ if their values do, beyond the error of both. Two expressions in the same
variables are called different only if they differ at every point where both are defined, and the
points are of three kinds, small positive reals, integers and negative reals: answers that are equal
only for integers, only for acute angles or only for positive numbers agree at some of them. What is
not read with certainty (`expression`), or is defined at too few points, is left undecided.
"""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from minireason.verify.ball import Ball, UndefinedError
from minireason.verify.canonical import same_form
from minireason.verify.expression import Node, names, read_expression

Finding = Literal["differ", "agree", "agree in part"]
"""In part: at all points of one kind and not of another, such as positive and negative ones."""

MAX_NAMES = 8
POINTS_OF_A_KIND = 4
_CLOSE = 1e-9
_LARGEST_ERROR = 1e-11
_LOG_OF_NO_BASE = (math.e, 10.0)


def compare_values(gold: str, given: str, places: int) -> tuple[Finding | None, bool]:
    """What the values say of two normalised answers, and whether they have variables.

    Values closer than one unit of the decimal place `places` are not called different; only values
    that no error of computation tells apart agree.
    """
    trees = read_expression(gold), read_expression(given)
    if trees[0] is None or trees[1] is None:
        return None, False
    here, there = names(trees[0]), names(trees[1])
    variables = here | there
    is_nested = here <= there or there <= here  # else a variable may only be called otherwise
    may_be_unit = bool(there) and not here and _is_quantity(trees[1])
    if not is_nested or may_be_unit or len(variables) > MAX_NAMES:
        return None, bool(variables)
    kinds = _points(sorted(variables)) if variables else [[{}]]
    findings = [[_compare_at(trees[0], trees[1], p, places) for p in kind] for kind in kinds]
    return _conclusion(findings), bool(variables)


def same_expression(gold: str, given: str) -> bool:
    """Whether both can be read and brought to one form, which is a proof."""
    trees = read_expression(gold), read_expression(given)
    return trees[0] is not None and trees[1] is not None and same_form(trees[0], trees[1])


def _is_quantity(tree: Node) -> bool:
    """Whether a product with a name in it may be a number with its unit, such as `5N`."""
    is_product = tree[0] in ("multiply", "divide", "name", "neg", "number", "power")
    return is_product and all(_is_quantity(part) for part in tree[1:] if isinstance(part, tuple))


def _conclusion(findings: list[list[Finding | None]]) -> Finding | None:
    found = [finding for kind in findings for finding in kind if finding]
    enough = min(2, len(findings[0]))
    is_known = all(sum(f is not None for f in kind) >= enough for kind in findings[:2])
    if is_known and len(set(found)) == 1:
        return found[0]
    is_one_kind = any(len(set(kind)) == 1 and kind[0] == "agree" for kind in findings)
    return "agree in part" if is_one_kind else None


def _points(variables: list[str]) -> list[list[dict[str, Ball]]]:
    """The same points for the same variables, so that a verdict can be repeated."""
    chance = random.Random(" ".join(variables))
    reals = [[chance.uniform(0.1, 0.9) for _ in variables] for _ in range(POINTS_OF_A_KIND)]
    whole = [chance.sample(range(2, 12), len(variables)) for _ in range(POINTS_OF_A_KIND)]
    negative = [[-value for value in point] for point in reals]
    return [
        [{n: Ball(complex(v)) for n, v in zip(variables, p, strict=True)} for p in kind]
        for kind in (reals, whole, negative)
    ]


def _compare_at(gold: Node, given: Node, point: Mapping[str, Ball], places: int) -> Finding | None:
    """Both sides at one point, a logarithm of no base read as natural and as to base ten."""
    found = {_compare_once(gold, given, point, places, base) for base in _LOG_OF_NO_BASE}
    return found.pop() if len(found) == 1 else None


def _compare_once(
    gold: Node, given: Node, point: Mapping[str, Ball], places: int, base: float
) -> Finding | None:
    try:
        a, b = evaluate(gold, point, base), evaluate(given, point, base)
    except (UndefinedError, OverflowError, ValueError, ZeroDivisionError):
        return None
    distance, error = abs(a.centre - b.centre), a.radius + b.radius
    size = max(abs(a.centre), abs(b.centre))
    if distance > error + max(_CLOSE * size, 10.0**-places):
        return "differ"
    return "agree" if distance <= error <= _LARGEST_ERROR * size else None


def evaluate(tree: Node, point: Mapping[str, Ball], log_base: float = math.e) -> Ball:
    """The value of an expression; raises `UndefinedError` where it has none."""
    kind, parts = tree[0], tree[1:]
    if kind == "number":
        return _number(parts[0])
    if kind in _CONSTANTS:
        return _CONSTANTS[kind]
    if kind == "name":
        return point[parts[0]]
    if kind == "root":
        return evaluate(parts[1], point, log_base).root(parts[0])
    if kind == "log":
        base = Ball(complex(log_base)) if parts[0] is None else evaluate(parts[0], point, log_base)
        return evaluate(parts[1], point, log_base).log() / base.log()
    values = [evaluate(part, point, log_base) for part in parts]
    if kind == "neg":
        return -values[0]
    if kind == "add":
        return values[0] + values[1]
    if kind == "multiply":
        return values[0] * values[1]
    if kind == "divide":
        return values[0] / values[1]
    if kind == "power":
        return values[0].power(values[1])
    return _apply(kind, values[0])


_CONSTANTS = {
    "pi": Ball(complex(math.pi), 2e-16),
    "e": Ball(complex(math.e), 2e-16),
    "i": Ball(1j),
}


def _number(value: Fraction) -> Ball:
    number = float(value)
    return Ball(complex(number), 0.0 if Fraction(number) == value else abs(number) * 2e-16)


def _apply(function: str, x: Ball) -> Ball:
    if function == r"\exp":
        return x.exp()
    if function in (r"\sinh", r"\cosh", r"\tanh"):
        x = x * Ball(1j)  # sinh x = -i sin ix, cosh x = cos ix
    if function in (r"\arcsin", r"\arccos", r"\arctan"):
        return _inverse(function, x)
    sine, cosine = _sine(x), _sine(Ball(complex(math.pi / 2), 2e-16) + -x)
    values = {
        r"\sin": lambda: sine,
        r"\cos": lambda: cosine,
        r"\tan": lambda: sine / cosine,
        r"\cot": lambda: cosine / sine,
        r"\sec": cosine.inverse,
        r"\csc": sine.inverse,
        r"\sinh": lambda: sine * Ball(-1j),
        r"\cosh": lambda: cosine,
        r"\tanh": lambda: sine / cosine * Ball(-1j),
    }
    return values[function]()


def _sine(x: Ball) -> Ball:
    if abs(x.centre) > 1e6 or abs(x.centre.imag) > 300:
        raise UndefinedError
    value, slope = cmath.sin(x.centre), abs(cmath.cos(x.centre))
    error = (slope + abs(value) + x.radius) * (x.radius + 1e-15 * abs(x.centre))
    return Ball(value, 2 * error + 1e-15 * abs(value))


def _inverse(function: str, x: Ball) -> Ball:
    """An inverse function of a real number inside its domain, not at its border."""
    if not x.is_real:
        raise UndefinedError
    value = x.centre.real
    if function == r"\arctan":
        return Ball(complex(math.atan(value)), x.radius + 1e-15)
    room = 1 - abs(value) - x.radius
    if room <= 1e-12:
        raise UndefinedError
    found = math.asin(value) if function == r"\arcsin" else math.acos(value)
    return Ball(complex(found), x.radius / math.sqrt(room) + 1e-14)
