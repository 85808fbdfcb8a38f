"""Algebra: linear equations and systems."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import multiple, polynomial
from minireason.problems.scratch import DerailedError, Scratch


def nonzero(rng: Random, low: int, high: int) -> int:
    """A whole number in low..high that is not 0."""
    return rng.choice([n for n in range(low, high + 1) if n])


def _draw_linear(rng: Random, is_two_sided: bool) -> Params:
    while True:
        a, c = rng.randint(2, 12), rng.randint(2, 9) if is_two_sided else 0
        b, x = nonzero(rng, -30, 30), nonzero(rng, -9, 12)
        if a > c:
            return (a, b, c, (a - c) * x + b)


def _draw_bracket(rng: Random) -> Params:
    """(a, b, c, d, 1): a(x+b)=cx+d, the solution often a fraction."""
    a, c = rng.randint(3, 9), rng.randint(2, 8)
    return (max(a, c + 1), nonzero(rng, -9, 9), c, nonzero(rng, -30, 30), 1)


def _phrase_linear(params: Params) -> tuple[str, ...]:
    a, b, c, d, *bracket = params
    left = f"{a}({polynomial((1, b))})" if bracket else polynomial((a, b))
    equation = f"{left}={polynomial((c, d))}"
    return (
        f"Solve {equation}.",
        f"What is x if {equation}?",
        f"Find x such that {equation}.",
        f"How to solve {equation}?",
    )


def _work_linear(params: Params, s: Scratch) -> str:
    a, b, c, d, *bracket = params
    if bracket:
        b = s.mul(a, b)
    if c:
        a = s.sub(a, c)
    d = s.sub(d, b)
    s.say(f"{multiple(a, 'x')}={d}")
    if a < 0:
        a, d = -a, -d
    return s.fraction(d, a) if d % max(a, 1) else str(s.div(d, a) if a != 1 else d)


def _draw_substitution(rng: Random) -> Params:
    """(a, b, c, d, f, 0): y=ax+b and cx+dy=f."""
    while True:
        a, b, c, d = nonzero(rng, -4, 5), nonzero(rng, -9, 9), rng.randint(1, 6), rng.randint(2, 5)
        x = nonzero(rng, -6, 9)
        if 1 < c + d * a <= 12:
            return (a, b, c, d, c * x + d * (a * x + b), 0)


def _draw_cramer(rng: Random) -> Params:
    """(a, b, e, c, d, f, ask): ax+by=e and cx+dy=f; ask 1 is x+y, 2 the pair."""
    while True:
        a, b, c, d = (nonzero(rng, -4, 5) for _ in range(4))
        if a > 0 and 2 <= a * d - b * c <= 12 and c > 0:
            x, y = nonzero(rng, -6, 9), nonzero(rng, -6, 9)
            return (a, b, a * x + b * y, c, d, c * x + d * y, rng.randint(1, 2))


def _pair(a: int, b: int, e: int) -> str:
    return f"{multiple(a, 'x')}{'+' if b > 0 else ''}{multiple(b, 'y')}={e}"


def _phrase_system(params: Params) -> tuple[str, ...]:
    if len(params) == 6:
        a, b, c, d, f, _ = params
        system = f"y={polynomial((a, b))} and {_pair(c, d, f)}"
    else:
        system = f"{_pair(*params[:3])} and {_pair(*params[3:6])}"
    if params[-1] == 1:
        return (
            f"Find x+y if {system}.",
            f"What is x+y when {system}?",
            f"Given {system}, find x+y.",
        )
    return (
        f"Solve {system} for (x,y).",
        f"Find (x,y) if {system}.",
        f"Which (x,y) satisfies {system}?",
    )


def _work_system(params: Params, s: Scratch) -> str:
    if len(params) == 6:
        a, b, c, d, f, _ = params
        factor = s.add(c, s.mul(d, a))
        right = s.sub(f, s.mul(d, b))
        s.say(f"{multiple(factor, 'x')}={right}")
        x = s.div(right, factor)
        return f"({x},{s.add(s.mul(a, x), b)})"
    a, b, e, c, d, f, ask = params
    det = s.sub(s.mul(a, d), s.mul(b, c))
    if det == 0:
        raise DerailedError("no determinant")
    s.say("For x:")
    x = s.div(s.sub(s.mul(e, d), s.mul(b, f)), det)
    s.say("For y:")
    y = s.div(s.sub(s.mul(a, f), s.mul(e, c)), det)
    return str(s.add(x, y)) if ask == 1 else f"({x},{y})"


LINEAR_EQUATION = Family(
    "linear_equation",
    "algebra",
    {
        "middle": lambda rng: _draw_linear(rng, False),
        "high": lambda rng: _draw_linear(rng, True),
        "college": _draw_bracket,
    },
    _phrase_linear,
    _work_linear,
)


LINEAR_SYSTEM = Family(
    "linear_system",
    "algebra",
    {"college": _draw_substitution, "graduate": _draw_cramer},
    _phrase_system,
    _work_system,
    canonical=lambda params: params[:-1],
)
