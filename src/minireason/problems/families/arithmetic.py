"""Arithmetic: sums, order of operations, fractions, percentages and small stories."""

from __future__ import annotations

import math
from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import fraction, signed
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


def _draw_percent(rng: Random, is_story: bool) -> Params:
    if rng.random() < 0.5:
        price, percent = 100 * rng.randint(1, 9), rng.randint(3, 60)
    else:
        price, percent = 10 * rng.randint(3, 60), 10 * rng.randint(1, 9)
    return (price, percent, rng.randint(2, 30) if is_story else 0)


def _phrase_percent(params: Params) -> tuple[str, ...]:
    price, percent, coupon = params
    if not coupon:
        return ask_value(f"{percent}% of {price}")
    return (
        f"A coat costs {price} dollars. Its price falls by {percent}% and then by {coupon} "
        "dollars more. What is the new price?",
        f"A shop takes {percent}% and then {coupon} dollars off a price of {price} dollars. "
        "How much is left to pay?",
        f"Mia has {price} coins. She gives away {percent}% of them and then {coupon} more. "
        "How many coins are left?",
    )


def _work_percent(params: Params, s: Scratch) -> str:
    price, percent, coupon = params
    unit = 100 if price % 100 == 0 else 10
    part = s.mul(s.div(price, unit), percent if unit == 100 else s.div(percent, 10))
    if coupon:
        part = s.sub(s.sub(price, part), coupon)
    return str(part)


def _draw_shopping(rng: Random, is_long: bool) -> Params:
    a, b, c, d = (rng.randint(2, 12) for _ in range(4))
    cost = a * b + (c * d if is_long else 0)
    return (a, b, *((c, d) if is_long else ()), cost + rng.randint(1, 60))


def _phrase_shopping(params: Params) -> tuple[str, ...]:
    a, b, *more, cash = params
    pens = f" and {more[0]} books for {more[1]} dollars each" if more else ""
    bags = f" and {more[0]} boxes of {more[1]} eggs" if more else ""
    tables = f" and {more[0]} rows of {more[1]} seats" if more else ""
    return (
        f"Ana buys {a} pens for {b} dollars each{pens}. She pays with {cash} dollars. "
        "How much change does she get?",
        f"A farm has {cash} eggs. It sells {a} bags of {b} eggs{bags}. How many eggs are left?",
        f"A hall has {cash} seats. People fill {a} tables of {b} seats{tables}. "
        "How many seats are free?",
    )


def _work_shopping(params: Params, s: Scratch) -> str:
    *pairs, cash = params
    cost = s.mul(pairs[0], pairs[1])
    if len(pairs) == 4:
        cost = s.add(cost, s.mul(pairs[2], pairs[3]))
    return str(s.sub(cash, cost))


def _draw_average(rng: Random, count: int, high: int) -> Params:
    numbers = [rng.randint(2, high) for _ in range(count - 1)]
    numbers.append((-sum(numbers)) % count + count * rng.randint(1, high // count))
    return tuple(numbers)


def _phrase_average(params: Params) -> tuple[str, ...]:
    numbers = ", ".join(map(str, params))
    return (
        f"What is the average of {numbers}?",
        f"Find the mean of {numbers}.",
        f"The days of a trip are {numbers} km long. How long is the average day?",
    )


def _work_average(params: Params, s: Scratch) -> str:
    total = params[0]
    for n in params[1:]:
        total = s.add(total, n)
    s.say(f"There are {len(params)} numbers.")
    return fraction(s.div(total, len(params)), 1)


ARITHMETIC = "arithmetic"
CHAIN_SUM = Family(
    "chain_sum",
    ARITHMETIC,
    {
        "elementary": lambda rng: _draw_sum(rng, 3, 20),
        "middle": lambda rng: _draw_sum(rng, 4, 60),
        "high": lambda rng: _draw_sum(rng, 6, 99),
    },
    _phrase_sum,
    _work_sum,
)
ORDER_OF_OPERATIONS = Family(
    "order_of_operations",
    ARITHMETIC,
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
    ARITHMETIC,
    {
        "middle": lambda rng: _draw_fractions(rng, 2, 36, True),
        "high": lambda rng: _draw_fractions(rng, 2, 12, False),
        "college": lambda rng: _draw_fractions(rng, 3, 12, False),
    },
    _phrase_fractions,
    _work_fractions,
)
PERCENT = Family(
    "percent",
    ARITHMETIC,
    {
        "middle": lambda rng: _draw_percent(rng, False),
        "high": lambda rng: _draw_percent(rng, True),
    },
    _phrase_percent,
    _work_percent,
)
SHOPPING = Family(
    "shopping",
    ARITHMETIC,
    {
        "elementary": lambda rng: _draw_shopping(rng, False),
        "middle": lambda rng: _draw_shopping(rng, True),
    },
    _phrase_shopping,
    _work_shopping,
)
AVERAGE = Family(
    "average",
    ARITHMETIC,
    {
        "middle": lambda rng: _draw_average(rng, 3, 40),
        "high": lambda rng: _draw_average(rng, 5, 60),
    },
    _phrase_average,
    _work_average,
)
