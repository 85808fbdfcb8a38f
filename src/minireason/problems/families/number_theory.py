"""Number theory: common divisors and multiples, counts of multiples, congruences."""

from __future__ import annotations

import math
from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.scratch import DerailedError, Scratch


def _draw_gcd(rng: Random) -> Params:
    while True:
        g, p, q = rng.randint(3, 20), rng.randint(2, 12), rng.randint(2, 12)
        if p < q and math.gcd(p, q) == 1 and g * q <= 150:
            return (0, g * p, g * q)


def _draw_lcm(rng: Random) -> Params:
    _, a, b = _draw_gcd(rng)
    return (1, a, b)


def _draw_gcd_of_three(rng: Random) -> Params:
    while True:
        g = rng.randint(2, 12)
        numbers = sorted({g * rng.randint(2, 12) for _ in range(3)})
        if len(numbers) == 3 and math.gcd(*numbers) == g and numbers[-1] <= 144:
            return (0, *numbers)


def _phrase_gcd(params: Params) -> tuple[str, ...]:
    *others, last = map(str, params[1:])
    numbers = f"{', '.join(others)} and {last}"
    if params[0] == 0:
        return (
            f"What is the gcd of {numbers}?",
            f"Find the greatest common divisor of {numbers}.",
            f"What is the largest number that divides {numbers}?",
        )
    return (
        f"What is the lcm of {numbers}?",
        f"Find the least common multiple of {numbers}.",
        f"What is the smallest number that {numbers} both divide?",
    )


def _work_gcd(params: Params, s: Scratch) -> str:
    kind, a, b, *more = params
    g = s.gcd(b, a)
    s.say(f"gcd({a},{b})={g}")
    if kind == 1:
        return str(s.mul(s.div(b, g) if g != 1 else b, a))
    for n in more:
        g = s.gcd(n, g)
    return str(g)


def _draw_multiples(rng: Random, kind: int) -> Params:
    """(kind, low, high, a, b): multiples of a in low..high, or of a or b, or of neither up to."""
    if kind == 0:
        low = rng.randint(10, 70)
        return (0, low, low + rng.randint(25, 70), rng.randint(2, 7), 0)
    a, b = rng.choice(((2, 3), (2, 5), (2, 7), (3, 4), (3, 5), (2, 9), (2, 11), (3, 7), (4, 5)))
    return (kind, 1, rng.randint(25, 144), *((a, b)))


def _phrase_multiples(params: Params) -> tuple[str, ...]:
    kind, low, high, a, b = params
    what = {0: f"multiples of {a}", 1: f"multiples of {a} or {b}", 2: "numbers"}[kind]
    end = f" are divisible by neither {a} nor {b}" if kind == 2 else ""
    return (
        f"How many {what} from {low} to {high}{end or ' are there'}?",
        f"Among the whole numbers from {low} to {high}, how many {what}{end or ' are there'}?",
        f"Count the {what} from {low} to {high}{' that' + end if end else ''}.",
    )


def _work_multiples(params: Params, s: Scratch) -> str:
    kind, low, high, a, b = params
    if kind == 0:
        upper = s.quotient(high, a)
        return str(s.sub(upper, s.quotient(s.sub(low, 1), a)))
    first, second = s.quotient(high, a), s.quotient(high, b)
    both = s.quotient(high, s.mul(a, b))
    either = s.sub(s.add(first, second), both)
    return str(either if kind == 1 else s.sub(high, either))


def _draw_congruences(rng: Random, high: int) -> Params:
    while True:
        m, n = rng.randint(5, 30), rng.randint(3, high)
        if n < m and math.gcd(m, n) == 1:
            return (rng.randint(1, m - 1), m, rng.randint(0, n - 1), n)


def _phrase_congruences(params: Params) -> tuple[str, ...]:
    a, m, b, n = params
    return (
        f"Find the smallest positive x with x={a} mod {m} and x={b} mod {n}.",
        f"What is the least positive number that leaves {a} when divided by {m} and {b} when "
        f"divided by {n}?",
        f"A number leaves remainder {a} by {m} and {b} by {n}. What is the smallest such number?",
    )


def _work_congruences(params: Params, s: Scratch) -> str:
    a, m, b, n = params
    x = a
    for _ in range(n + 1):
        if s.mod(x, n) == b:
            return str(x)
        x = s.add(x, m)
    raise DerailedError("the search does not end")


GCD_LCM = Family(
    "gcd_lcm",
    "number_theory",
    {"middle": _draw_gcd, "high": _draw_lcm, "college": _draw_gcd_of_three},
    _phrase_gcd,
    _work_gcd,
)


MULTIPLES = Family(
    "multiples",
    "number_theory",
    {
        "middle": lambda rng: _draw_multiples(rng, 0),
        "high": lambda rng: _draw_multiples(rng, 1),
        "college": lambda rng: _draw_multiples(rng, 2),
    },
    _phrase_multiples,
    _work_multiples,
)


CONGRUENCES = Family(
    "congruences",
    "number_theory",
    {
        "college": lambda rng: _draw_congruences(rng, 4),
        "graduate": lambda rng: _draw_congruences(rng, 7),
    },
    _phrase_congruences,
    _work_congruences,
)
