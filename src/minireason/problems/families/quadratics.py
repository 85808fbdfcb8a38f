"""Quadratic equations with rational, irrational and complex roots, by the formula."""

from __future__ import annotations

import math
from random import Random

from minireason.problems.family import Family, Params, Problem
from minireason.problems.notation import multiple, polynomial, root
from minireason.problems.scratch import DerailedError, Scratch

ALL, LARGER, SMALLER = 0, 1, 2


def _discriminant(params: Params) -> int:
    a, b, c, d, _ = params
    return b * b - 4 * a * (c - d)


def _is_square(n: int) -> bool:
    return n >= 0 and math.isqrt(n) ** 2 == n


def _draw_rational(rng: Random) -> Params:
    """Roots p and q/a with the equation moved by d; asks for one root or for all."""
    while True:
        a, p, q, d = rng.randint(1, 3), rng.randint(-6, 6), rng.randint(-9, 9), rng.randint(-9, 9)
        params = (a, -(a * p + q), p * q + d, d, rng.choice((ALL, LARGER, SMALLER)))
        is_written = params[1] and params[2] and abs(params[1]) <= 20
        if d and p * q and is_written and 0 < _discriminant(params) <= 400:
            return params


def _draw_surd(rng: Random) -> Params:
    while True:
        a, b = rng.randint(1, 3), rng.choice((2, 2, 1)) * rng.randint(-6, 6)
        c, d = rng.randint(-9, 9), rng.randint(-9, 9)
        params = (a, b, c, d, ALL)
        square = _discriminant(params)
        if b and c and d and c != d and 0 < abs(square) <= 200 and not _is_square(square):
            return params


def _phrase(params: Params) -> tuple[str, ...]:
    a, b, c, d, ask = params
    equation = f"{polynomial((a, b, c), star='*')}={d}"
    if ask == ALL:
        return (
            f"How to solve {equation}?",
            f"Solve {equation}.",
            f"Find all x with {equation}.",
            f"What are the solutions of {equation}?",
        )
    which = "larger" if ask == LARGER else "smaller"
    return (
        f"What is the {which} solution of {equation}?",
        f"Find the {which} root of {equation}.",
        f"Solve {equation} for the {which} x.",
    )


def _work(params: Params, s: Scratch) -> str:
    a, b, c, d, ask = params
    if d:
        c = s.sub(c, d)
        s.say(f"{polynomial((a, b, c), star='*')}=0")
    square = s.power(b, 2) if b else 0
    square = s.sub(square, s.mul(s.mul(4, a), c) if a != 1 else s.mul(4, c)) if c else square
    s.say(f"The discriminant is {square}.")
    bottom = s.mul(2, a) if a != 1 else 2
    if _is_square(square):
        return _rational_roots(s, (b, square, bottom), ask)
    if ask != ALL:
        raise DerailedError("no single root to name")
    k, r = s.root_parts(abs(square))
    real = s.fraction(-b, bottom) if b else ""
    top, bottom = s.reduce(k, bottom)
    surd = (multiple(top, "i") if r == 1 else root(top, r) + "i") if square < 0 else root(top, r)
    surd = surd if bottom == 1 else f"\\frac{{{surd}}}{{{bottom}}}"
    return f"{real} \\pm {surd}".strip()


def _rational_roots(s: Scratch, parts: tuple[int, int, int], ask: int) -> str:
    b, square, bottom = parts
    side = s.sqrt(square) if square else 0
    roots = []
    for sign in (-1, 1):
        if ask in (ALL, LARGER if sign == 1 else SMALLER):
            roots.append(s.fraction(s.add(-b, sign * side) if side else -b, bottom))
    if ask == ALL and side:
        return f"({roots[0]},{roots[1]})"
    return roots[0]


def quadratic(a: int, b: int, c: int, d: int, phrasing: int = 0) -> Problem:
    """The problem of all solutions of a*x^2+b*x+c=d; phrasing 0 is `How to solve ...?`."""
    return QUADRATIC.build("graduate", (a, b, c, d, ALL), phrasing)


QUADRATIC = Family(
    "quadratic",
    "algebra",
    {"college": _draw_rational, "graduate": _draw_surd},
    _phrase,
    _work,
    canonical=lambda params: (*params[:2], params[2] - params[3]),
)
