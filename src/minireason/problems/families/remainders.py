"""Remainders, of numbers and of powers, and the digits of other bases."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.scratch import DerailedError, Scratch


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


REMAINDER = Family(
    "remainder",
    "number_theory",
    {
        "elementary": lambda rng: _draw_remainder(rng, False),
        "middle": lambda rng: _draw_remainder(rng, True),
    },
    _phrase_remainder,
    _work_remainder,
)


MODULAR_POWER = Family(
    "modular_power",
    "number_theory",
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
    "number_theory",
    {
        "middle": lambda rng: _draw_base(rng, 1, range(3, 10), 20, 299),
        "high": lambda rng: _draw_base(rng, 0, range(3, 10), 20, 299),
        "college": lambda rng: _draw_base(rng, 2, range(3, 10), 20, 144),
    },
    _phrase_base,
    _work_base,
)
