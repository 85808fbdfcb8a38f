"""Number theory: divisors, remainders, powers, bases, multiples and congruences."""

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


def _draw_remainder(rng: Random, is_large: bool) -> Params:
    m = rng.randint(8, 12)
    if is_large:
        return (rng.randint(150, 999), 0, m)
    return (rng.randint(5, 60), rng.randint(5, 60), m)


def _phrase_remainder(params: Params) -> tuple[str, ...]:
    a, b, m = params
    what = f"{a}+{b}" if b else str(a)
    return (
        f"What is the remainder of {what} divided by {m}?",
        f"Find the remainder when {what} is divided by {m}.",
        f"What is {what} mod {m}?",
    )


def _work_remainder(params: Params, s: Scratch) -> str:
    a, b, m = params
    return str(s.mod(s.add(a, b) if b else a, m))


def _draw_power(rng: Random, low: int, high: int) -> Params:
    m = rng.randint(7, 12)
    return (rng.randint(2, 40), rng.randint(low, high), rng.randint(1, m - 1), m)


def _phrase_power(params: Params) -> tuple[str, ...]:
    a, n, c, m = params
    what = f"{a}^{n}+{c}"
    return (
        f"What is the remainder of {what} divided by {m}?",
        f"Find the remainder when {what} is divided by {m}.",
        f"What is {what} mod {m}?",
    )


def _work_power(params: Params, s: Scratch) -> str:
    a, n, c, m = params
    base = s.mod(a, m)
    value = base
    s.say(f"{a} is {base} mod {m}.")
    for bit in bin(n)[3:]:
        value = s.mod(s.power(value, 2), m) if value > 1 else value
        if bit == "1" and base != 1:
            value = s.mod(s.mul(value, base), m) if value else 0
    return str(s.mod(s.add(value, c), m))


def _digits(n: int, base: int) -> str:
    out = ""
    while n:
        out, n = str(n % base) + out, n // base
    return out or "0"


def _draw_base(rng: Random, kind: int, bases: range, low: int, high: int) -> Params:
    """(kind, number, base, other base): kind 0 writes in the base, 1 reads, 2 reads and writes."""
    base, other = rng.choice(bases), rng.choice(bases)
    if kind == 2 and base == other:
        return _draw_base(rng, kind, bases, low, high)
    return (kind, rng.randint(low, high), base, other if kind == 2 else 10)


def _phrase_base(params: Params) -> tuple[str, ...]:
    kind, n, base, other = params
    if kind == 0:
        return (
            f"Write {n} in base {base}.",
            f"What is {n} in base {base}?",
            f"Convert {n} to base {base}.",
        )
    shown = _digits(n, base)
    return (
        f"Write the base {base} number {shown} in base {other}.",
        f"What is {shown} of base {base} in base {other}?",
        f"Convert {shown} from base {base} to base {other}.",
    )


def _work_base(params: Params, s: Scratch) -> str:
    kind, n, base, other = params
    if kind:
        value, *digits = map(int, _digits(n, base))
        for digit in digits:
            value = s.add(s.mul(value, base), digit)
        if kind == 1:
            return str(value)
        n, base = value, other
    out = ""
    while n:
        if n < 0:
            raise DerailedError("no digits of a negative number")
        n, digit = s.divmod(n, base) if n >= base else (0, n)
        out = str(digit) + out
    return out or "0"


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


THEORY = "number_theory"
GCD_LCM = Family(
    "gcd_lcm",
    THEORY,
    {"middle": _draw_gcd, "high": _draw_lcm, "college": _draw_gcd_of_three},
    _phrase_gcd,
    _work_gcd,
)
REMAINDER = Family(
    "remainder",
    THEORY,
    {
        "elementary": lambda rng: _draw_remainder(rng, False),
        "middle": lambda rng: _draw_remainder(rng, True),
    },
    _phrase_remainder,
    _work_remainder,
)
MODULAR_POWER = Family(
    "modular_power",
    THEORY,
    {
        "high": lambda rng: _draw_power(rng, 2, 3),
        "college": lambda rng: _draw_power(rng, 4, 6),
        "graduate": lambda rng: _draw_power(rng, 7, 15),
    },
    _phrase_power,
    _work_power,
)
BASE_CONVERSION = Family(
    "base_conversion",
    THEORY,
    {
        "middle": lambda rng: _draw_base(rng, 1, range(3, 10), 20, 299),
        "high": lambda rng: _draw_base(rng, 0, range(3, 10), 20, 299),
        "college": lambda rng: _draw_base(rng, 2, range(3, 10), 20, 144),
    },
    _phrase_base,
    _work_base,
)
MULTIPLES = Family(
    "multiples",
    THEORY,
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
    THEORY,
    {
        "college": lambda rng: _draw_congruences(rng, 4),
        "graduate": lambda rng: _draw_congruences(rng, 7),
    },
    _phrase_congruences,
    _work_congruences,
)
