"""Small stories: percentages, shopping and averages."""

from __future__ import annotations

from random import Random

from minireason.problems.families.arithmetic import ask_value
from minireason.problems.family import Family, Params
from minireason.problems.notation import fraction
from minireason.problems.scratch import Scratch


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


PERCENT = Family(
    "percent",
    "arithmetic",
    {
        "middle": lambda rng: _draw_percent(rng, False),
        "high": lambda rng: _draw_percent(rng, True),
    },
    _phrase_percent,
    _work_percent,
)


SHOPPING = Family(
    "shopping",
    "arithmetic",
    {
        "elementary": lambda rng: _draw_shopping(rng, False),
        "middle": lambda rng: _draw_shopping(rng, True),
    },
    _phrase_shopping,
    _work_shopping,
)


AVERAGE = Family(
    "average",
    "arithmetic",
    {
        "middle": lambda rng: _draw_average(rng, 3, 40),
        "high": lambda rng: _draw_average(rng, 5, 60),
    },
    _phrase_average,
    _work_average,
)
