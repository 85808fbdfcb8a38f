"""Arithmetic: sums, order of operations, fractions."""

from __future__ import annotations

import math
from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import signed
from minireason.problems.scratch import Scratch


def ask_value(expression: str) -> tuple[str, ...]:
    """The phrasings of a bare computation."""
    return (
        f"What is {expression}?",
        f"Compute {expression}.",
        f"Find the value of {expression}.",
        f"Calculate {expression}.",
    )


def _draw_sum(rng: Random, num_terms: int, high: int) -> Params:
    while True:
        terms = [rng.randint(2, high) for _ in range(num_terms)]
        signs = [1, *(rng.choice((1, -1)) for _ in range(num_terms - 1))]
        params = tuple(s * t for s, t in zip(signs, terms, strict=True))
        if all(sum(params[:i]) >= 0 for i in range(2, num_terms + 1)):
            return params


def _phrase_sum(params: Params) -> tuple[str, ...]:
    return ask_value(str(params[0]) + "".join(map(signed, params[1:])))


def _work_sum(params: Params, scratch: Scratch) -> str:
    total = params[0]
    for term in params[1:]:
        total = scratch.add(total, term)
    return str(total)


_SHAPES = {
    1: "{0}+{1}*{2}",
    2: "{1}*{2}-{0}",
    3: "({0}+{1})*{2}-{3}",
    4: "{0}*{1}+{2}*{3}",
    5: "{0}*({1}-{2})+{3}*{4}",
    6: "{0}^2-{1}*{2}+{3}*{4}",
    7: "({0}+{1})*({2}-{3})+{4}",
}


def _draw_order(rng: Random, shapes: tuple[int, ...], high: int) -> Params:
    shape = rng.choice(shapes)
    numbers = [rng.randint(2, high) for _ in range(5)]
    if shape in (1, 2):
        numbers = [rng.randint(2, 40), rng.randint(2, high), rng.randint(2, high)]
    return (shape, *numbers[: 4 if shape in (3, 4) else 5])


def _phrase_order(params: Params) -> tuple[str, ...]:
    return ask_value(_SHAPES[params[0]].format(*params[1:]))


def _work_order(params: Params, s: Scratch) -> str:
    shape, n = params[0], params[1:]
    if shape == 1:
        value = s.add(n[0], s.mul(n[1], n[2]))
    elif shape == 2:
        value = s.sub(s.mul(n[1], n[2]), n[0])
    elif shape == 3:
        value = s.sub(s.mul(s.add(n[0], n[1]), n[2]), n[3])
    elif shape == 4:
        first = s.mul(n[0], n[1])
        value = s.add(first, s.mul(n[2], n[3]))
    elif shape == 5:
        first = s.mul(n[0], s.sub(n[1], n[2]))
        value = s.add(first, s.mul(n[3], n[4]))
    elif shape == 6:
        first = s.sub(s.power(n[0], 2), s.mul(n[1], n[2]))
        value = s.add(first, s.mul(n[3], n[4]))
    else:
        first = s.add(n[0], n[1])
        value = s.add(s.mul(first, s.sub(n[2], n[3])), n[4])
    return str(value)


def _draw_fractions(rng: Random, count: int, high: int, is_same: bool) -> Params:
    while True:
        same = rng.randint(5, high)
        bottoms = [same if is_same else rng.randint(2, high) for _ in range(count)]
        tops = [rng.randint(1, d - 1) * rng.choice((1, 1, -1)) for d in bottoms]
        if is_same and sum(tops) == same:
            continue
        if tops[0] > 0 and (is_same or (math.lcm(*bottoms) <= 60 and len(set(bottoms)) > 1)):
            return tuple(x for pair in zip(tops, bottoms, strict=True) for x in pair)


def _phrase_fractions(params: Params) -> tuple[str, ...]:
    tops, bottoms = params[::2], params[1::2]
    text = f"{tops[0]}/{bottoms[0]}"
    for n, d in zip(tops[1:], bottoms[1:], strict=True):
        text += f"{signed(n)}/{d}"
    return ask_value(text)


def _work_fractions(params: Params, s: Scratch) -> str:
    tops, bottoms = params[::2], params[1::2]
    common = math.lcm(*bottoms)
    s.say(f"The common denominator is {common}.")
    total: int | None = None
    for n, d in zip(tops, bottoms, strict=True):
        part = n if d == common else s.mul(n, s.div(common, d))
        total = part if total is None else s.add(total, part)
    return s.fraction(total or 0, common)


CHAIN_SUM = Family(
    "chain_sum",
    "arithmetic",
    {
        "elementary": lambda rng: _draw_sum(rng, 2, 60),
        "middle": lambda rng: _draw_sum(rng, 3, 60),
        "high": lambda rng: _draw_sum(rng, 5, 60),
    },
    _phrase_sum,
    _work_sum,
)


ORDER_OF_OPERATIONS = Family(
    "order_of_operations",
    "arithmetic",
    {
        "elementary": lambda rng: _draw_order(rng, (1, 2), 9),
        "middle": lambda rng: _draw_order(rng, (3, 4), 12),
        "high": lambda rng: _draw_order(rng, (5, 6, 7), 12),
    },
    _phrase_order,
    _work_order,
)


FRACTION_SUM = Family(
    "fraction_sum",
    "arithmetic",
    {
        "middle": lambda rng: _draw_fractions(rng, 2, 36, True),
        "high": lambda rng: _draw_fractions(rng, 2, 12, False),
        "college": lambda rng: _draw_fractions(rng, 3, 12, False),
    },
    _phrase_fractions,
    _work_fractions,
)
