"""Identities of rational functions, shown exactly: `\\frac{1}{x}-\\frac{1}{x+1}=\\frac{1}{x^2+x}`.

Values that agree are no proof, however close. Here both sides are computed without rounding in the
integers modulo a prime, where there is a root of -1 to stand for i: a rational function of the
length that is read vanishes at all of the random points with a probability below 10^-100 unless it
is zero (Schwartz 1980, Zippel 1979). Powers with a variable exponent are computed in rationals.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from itertools import count

from minireason.verify.exact import exact_value
from minireason.verify.expression import Node, kinds, names, read_expression

POINTS = 8
MAX_EXPONENT = 200
_PRIME = 2**64 - 59  # one more than a multiple of 4, so that -1 has a root
_NON_RESIDUE = next(a for a in count(2) if pow(a, (_PRIME - 1) // 2, _PRIME) == _PRIME - 1)
_I = pow(_NON_RESIDUE, (_PRIME - 1) // 4, _PRIME)
_SMALL_INTEGERS = (2, 60)
_KINDS = frozenset(["number", "name", "i", "neg", "add", "multiply", "divide", "power"])


class _OtherError(ValueError):
    """Not a rational function, or not defined at a point."""


def is_identity(gold: str, given: str) -> bool:
    """Whether two expressions with variables are surely equal; False where that is not shown."""
    one, other = (read_expression(text) for text in (gold, given))
    if one is None or other is None or not kinds(one) | kinds(other) <= _KINDS:
        return False
    variables = sorted(names(one) | names(other))
    chance = random.Random(" ".join(variables))
    try:
        return all(
            _modular(one, point) == _modular(other, point)
            for point in (
                {name: chance.randrange(_PRIME) for name in variables} for _ in range(POINTS)
            )
        )
    except _OtherError:
        return _is_equal_at_integers(one, other, variables, chance)


def _is_equal_at_integers(
    one: Node, other: Node, variables: list[str], chance: random.Random
) -> bool:
    for _ in range(POINTS):
        point = {name: Fraction(chance.randint(*_SMALL_INTEGERS)) for name in variables}
        value = exact_value(one, point)
        if value is None or value != exact_value(other, point):
            return False
    return True


def _modular(tree: Node, point: Mapping[str, int]) -> int:
    kind, parts = tree[0], tree[1:]
    if kind == "number":
        return _divided(parts[0].numerator, parts[0].denominator)
    if kind == "name" and parts[0] in point:
        return point[parts[0]]
    if kind == "i":
        return _I
    if kind == "power":
        return _power(_modular(parts[0], point), parts[1])
    values = [_modular(part, point) for part in parts]
    if kind == "neg":
        return -values[0] % _PRIME
    if kind == "add":
        return (values[0] + values[1]) % _PRIME
    if kind == "multiply":
        return values[0] * values[1] % _PRIME
    return _divided(values[0], values[1])


def _power(base: int, exponent: Node) -> int:
    sign = -1 if exponent[0] == "neg" else 1
    number = exponent[1] if sign < 0 else exponent
    if number[0] != "number" or number[1].denominator != 1 or number[1] > MAX_EXPONENT:
        raise _OtherError
    power = pow(base, int(number[1]), _PRIME)
    return power if sign > 0 else _divided(1, power)


def _divided(top: int, bottom: int) -> int:
    if bottom % _PRIME == 0:
        raise _OtherError
    return top * pow(bottom, -1, _PRIME) % _PRIME
