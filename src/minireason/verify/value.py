"""The value of an expression at a point, as a ball: what the tree of `expression` says."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from fractions import Fraction

from minireason.verify.ball import Ball, UndefinedError
from minireason.verify.exact import exact_value
from minireason.verify.expression import Node


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
    if kind in ("floor", "ceil", "factorial", "binomial"):
        return _whole(tree, point, log_base)
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


def _whole(tree: Node, point: Mapping[str, Ball], log_base: float) -> Ball:
    """A rounded value, a factorial or a binomial: exact, or rounded with no integer in reach."""
    known = {name: x.centre for name, x in point.items() if not (x.radius or x.centre.imag)}
    exact = exact_value(tree, {name: Fraction(x.real) for name, x in known.items()})
    if exact is not None:
        return _number(exact)
    if tree[0] not in ("floor", "ceil"):
        raise UndefinedError
    inside = evaluate(tree[1], point, log_base)
    value = inside.centre.real
    if not inside.is_real or abs(value - round(value)) <= inside.radius or abs(value) > 1e15:
        raise UndefinedError
    return Ball(complex(math.floor(value) if tree[0] == "floor" else math.ceil(value)))


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
