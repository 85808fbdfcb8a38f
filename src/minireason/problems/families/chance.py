"""Chance: urns and expected values."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.scratch import Scratch


def _draw_urn(rng: Random, kind: int) -> Params:
    """Kind 0: one ball is red; 1: twice red, putting back; 2: red then blue."""
    if kind == 0:
        return (0, *(rng.randint(2, 15) for _ in range(3)))
    while True:
        red, blue, green = (rng.randint(2, 9) for _ in range(3))
        if red + blue + green <= 20:
            return (kind, red, blue, green)


def _phrase_urn(params: Params) -> tuple[str, ...]:
    kind, r, b, g = params
    event = {
        0: "One ball is drawn. What is the probability that it is red?",
        1: "A ball is drawn and put back, twice. What is the probability of red both times?",
        2: "Two balls are drawn in turn. What is the probability of red and then blue?",
    }[kind]
    return (
        f"A bag has {r} red, {b} blue and {g} green balls. {event}",
        f"An urn holds {r} red, {b} blue and {g} green balls. {event}",
        f"There are {r} red, {b} blue and {g} green balls in a box. {event}",
    )


def _work_urn(params: Params, s: Scratch) -> str:
    kind, r, b, g = params
    total = s.add(s.add(r, b), g)
    if kind == 0:
        return s.fraction(r, total)
    if kind == 1:
        return s.fraction(s.power(r, 2), s.power(total, 2))
    top = s.mul(r, b)
    return s.fraction(top, s.mul(total, s.sub(total, 1)))


def _draw_expected(rng: Random, count: int) -> Params:
    values = rng.sample(range(1, 13), count)
    weights = [rng.randint(1, 6) for _ in range(count)]
    return tuple(x for pair in zip(sorted(values), weights, strict=True) for x in pair)


def _phrase_expected(params: Params) -> tuple[str, ...]:
    values, weights = params[::2], params[1::2]
    cards = ", ".join(f"{w} with {v}" for v, w in zip(values, weights, strict=True))
    return (
        f"A box has cards: {cards}. What is the expected value of a random card?",
        f"A wheel has fields: {cards}. What is the mean result of a spin?",
        f"A bag has coins: {cards}. Find the expected value of a random coin.",
    )


def _work_expected(params: Params, s: Scratch) -> str:
    values, weights = params[::2], params[1::2]
    number = weights[0]
    for w in weights[1:]:
        number = s.add(number, w)
    total: int | None = None
    for v, w in zip(values, weights, strict=True):
        part = v if w == 1 else s.mul(v, w)
        total = part if total is None else s.add(total, part)
    return s.fraction(total or 0, number)


URN = Family(
    "urn",
    "counting",
    {
        "middle": lambda rng: _draw_urn(rng, 0),
        "high": lambda rng: _draw_urn(rng, 1),
        "college": lambda rng: _draw_urn(rng, 2),
    },
    _phrase_urn,
    _work_urn,
)


EXPECTED_VALUE = Family(
    "expected_value",
    "counting",
    {
        "college": lambda rng: _draw_expected(rng, 3),
        "graduate": lambda rng: _draw_expected(rng, 4),
    },
    _phrase_expected,
    _work_expected,
)
