"""Sets of real numbers with rational ends, exactly: `(-\\infty,-5)`, `k<-5`, `[0,1)\\cup(1,2]`.

An inequality and an interval are compared as the sets they say. Two inequalities that differ are
left open, since their variable may be an integer; so are `(2,4)`, which may be a point, beside
another of its kind, and names that differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from minireason.verify.reading import read_rational, split_top

End = tuple[Fraction | float, int]
"""A number and -1 just below it, 0 at it, 1 just above it."""

_INTERVAL = re.compile(r"([(\[])([^,()\[\]]+),([^,()\[\]]+)([)\]])")
_RELATION = re.compile(r"(\\leq|\\geq|<|>)")
_VARIABLE = re.compile(r"(?:[a-zA-Z]|\\[a-zA-Z]+)(?:_(?:\w|\{\w+\}))?")
_INFINITE = {r"\infty": float("inf"), r"+\infty": float("inf"), r"-\infty": float("-inf")}
_IS_BELOW = {"<": True, r"\leq": True, ">": False, r"\geq": False}


@dataclass(frozen=True, slots=True)
class RealSet:
    """Disjoint stretches in order; `variable` where an inequality says it."""

    stretches: tuple[tuple[End, End], ...]
    variable: str = ""
    may_be_point: bool = False


def compare_sets(gold: str, given: str) -> bool | None:
    """Whether two normalised answers say the same set of reals, None where that is open."""
    first, second = _read(gold), _read(given)
    if first is None or second is None:
        return None
    is_open = first.may_be_point and second.may_be_point
    if is_open or (first.variable and second.variable):
        return None
    return first.stretches == second.stretches


def _read(text: str) -> RealSet | None:
    inequality = _inequality(text)
    if inequality is not None:
        return inequality
    parts = split_top(text, r"\cup")
    found = [_interval(part) for part in parts]
    known = [stretch for stretch in found if stretch is not None]
    if len(known) < len(parts):
        return None
    ends = (end for stretch in known for end in stretch)
    may_be_point = len(parts) == 1 and all(isinstance(end[0], Fraction) for end in ends)
    return RealSet(_joined(known), may_be_point=may_be_point and text[0] + text[-1] in ("()", "[]"))


def _interval(text: str) -> tuple[End, End] | None:
    match = _INTERVAL.fullmatch(text)
    low, high = (_number(match[2]), _number(match[3])) if match else (None, None)
    if match is None or low is None or high is None:
        return None
    return _stretch((low, 0 if match[1] == "[" else 1), (high, 0 if match[4] == "]" else -1))


def _inequality(text: str) -> RealSet | None:
    """`a<x\\leq b`, `x<a`, `a\\geq x`: one variable between or beside numbers."""
    sides = [part.strip() for part in _RELATION.split(text)]
    if len(sides) not in (3, 5):
        return None
    place = next((i for i in range(0, len(sides), 2) if _VARIABLE.fullmatch(sides[i])), None)
    if place is None or sides[place] in _INFINITE or (len(sides) == 5 and place != 2):
        return None
    low: End = (float("-inf"), 1)
    high: End = (float("inf"), -1)
    directions = {_IS_BELOW[relation] for relation in sides[1::2]}
    for index in range(0, len(sides), 2):
        if index == place:
            continue
        number, relation = _number(sides[index]), sides[min(index, place) + 1]
        if number is None or len(directions) > 1:
            return None
        is_strict = relation in "<>"
        if _IS_BELOW[relation] == (index > place):
            high = (number, -1 if is_strict else 0)
        else:
            low = (number, 1 if is_strict else 0)
    stretch = _stretch(low, high)
    return stretch and RealSet((stretch,), variable=sides[place])


def _number(text: str) -> Fraction | float | None:
    text = text.strip()
    return _INFINITE[text] if text in _INFINITE else read_rational(text)


def _stretch(low: End, high: End) -> tuple[End, End] | None:
    """Both ends; None for an empty stretch or one closed at infinity."""
    is_closed_at_infinity = any(abs(n) == float("inf") and not side for n, side in (low, high))
    return None if is_closed_at_infinity or low > high else (low, high)


def _joined(stretches: list[tuple[End, End]]) -> tuple[tuple[End, End], ...]:
    """In order, with those that overlap or touch made one."""
    joined: list[tuple[End, End]] = []
    for low, high in sorted(stretches):
        if joined and _touches(joined[-1][1], low):
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return tuple(joined)


def _touches(high: End, low: End) -> bool:
    """Whether nothing is between: `[0,1]` and `(1,2)`, but not `[0,1)` and `(1,2)`."""
    return low[0] < high[0] or (low[0] == high[0] and low[1] - high[1] <= 1)
