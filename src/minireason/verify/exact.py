"""Exact rational values: `2^{1004}`, `\\binom{20}{3}`, `\\lfloor\\frac{7}{2}\\rfloor`.

Every step is refused before it is computed if its result could have too many bits, so that no
expression of the reader's length takes long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from minireason.verify.expression import Node

MAX_BITS = 8_000
_MAX_FACTORIAL = 900
_MAX_FACTORS = 20


class _NotExactError(ValueError):
    pass


def exact_value(tree: Node, point: Mapping[str, Fraction] | None = None) -> Fraction | None:
    """The value, None where it is not rational, not defined or too large."""
    try:
        return _value(tree, point or {})
    except (_NotExactError, ZeroDivisionError):
        return None


def _value(tree: Node, point: Mapping[str, Fraction]) -> Fraction:
    kind, parts = tree[0], tree[1:]
    if kind == "number":
        return _bounded(parts[0])
    if kind == "name" and parts[0] in point:
        return _bounded(point[parts[0]])
    if kind == "root":
        return _root(parts[0], _value(parts[1], point))
    if kind not in _OPERATIONS:
        raise _NotExactError
    return _bounded(_OPERATIONS[kind](*(_value(part, point) for part in parts)))


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MAX_BITS:
        raise _NotExactError
    return value


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


def _whole(value: Fraction) -> int:
    if value.denominator != 1 or value < 0:
        raise _NotExactError
    return value.numerator


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    is_large = abs(exponent) * _bits(base) > MAX_BITS + 2
    if exponent.denominator != 1 or is_large or (base == 0 and exponent <= 0):
        raise _NotExactError
    return base ** int(exponent)


def _root(degree: int, value: Fraction) -> Fraction:
    """A square root of squares; other degrees have no exact root here."""
    if degree != 2 or value < 0:
        raise _NotExactError
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if Fraction(top, bottom) ** 2 != value:
        raise _NotExactError
    return Fraction(top, bottom)


def _factorial(value: Fraction) -> Fraction:
    if _whole(value) > _MAX_FACTORIAL:
        raise _NotExactError
    return Fraction(math.factorial(_whole(value)))


def _binomial(above: Fraction, below: Fraction) -> Fraction:
    """The polynomial in the upper argument, for a whole lower one."""
    count = _whole(below)
    if count * _bits(above) > MAX_BITS:
        raise _NotExactError
    if above.denominator == 1 and above >= 0:
        return Fraction(math.comb(above.numerator, count))
    if count > _MAX_FACTORS:
        raise _NotExactError
    product = Fraction(1)
    for step in range(count):
        product *= (above - step) / (step + 1)
    return product


_OPERATIONS: dict[str, Callable[..., Fraction]] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": _power,
    "factorial": _factorial,
    "binomial": _binomial,
    "floor": lambda a: Fraction(math.floor(a)),
    "ceil": lambda a: Fraction(math.ceil(a)),
}
