"""Polynomials: their values and their products."""

from __future__ import annotations

from random import Random

from minireason.problems.families.algebra import nonzero
from minireason.problems.family import Family, Params
from minireason.problems.notation import polynomial
from minireason.problems.scratch import Scratch


def _draw_value(rng: Random, degree: int, low: int, high: int) -> Params:
    return (
        nonzero(rng, low, high),
        rng.randint(1, 4),
        *(nonzero(rng, -9, 9) for _ in range(degree)),
    )


def _phrase_value(params: Params) -> tuple[str, ...]:
    x, body = params[0], polynomial(params[1:])
    return (
        f"What is {body} for x={x}?",
        f"Let f(x)={body}. Find f({x}).",
        f"Evaluate {body} at x={x}.",
    )


def _work_value(params: Params, s: Scratch) -> str:
    x, value = params[0], params[1]
    for i, c in enumerate(params[2:]):
        product = x if i == 0 and value == 1 else s.mul(value, x)
        value = s.add(product, c)
    return str(value)


def _draw_product(rng: Random, left: int, right: int, high: int) -> Params:
    """(degree of the left factor, its coefficients, the right one's), no coefficient 0."""
    first = [rng.randint(1, high), *(nonzero(rng, -9, 9) for _ in range(left))]
    second = [rng.randint(1, high), *(nonzero(rng, -9, 9) for _ in range(right))]
    return (left, *first, *second)


def _phrase_product(params: Params) -> tuple[str, ...]:
    left = params[0]
    first, second = params[1 : left + 2], params[left + 2 :]
    product = f"({polynomial(first)})({polynomial(second)})"
    return (f"Expand {product}.", f"Multiply out {product}.", f"Write {product} as a sum.")


def _work_product(params: Params, s: Scratch) -> str:
    left = params[0]
    first, second = params[1 : left + 2], params[left + 2 :]
    top = len(first) + len(second) - 2
    out: list[int] = []
    for power in range(top, -1, -1):
        total: int | None = None
        if power:
            s.tell(f"Power {power}:")
        for i, a in enumerate(first):
            j = top - power - i
            if 0 <= j < len(second):
                b = second[j]
                part = b if a == 1 else a if b == 1 else s.mul(a, b)
                total = part if total is None else s.add(total, part)
        out.append(total or 0)
    return polynomial(out)


POLYNOMIAL_VALUE = Family(
    "polynomial_value",
    "algebra",
    {
        "middle": lambda rng: _draw_value(rng, 2, 2, 9),
        "high": lambda rng: _draw_value(rng, 3, -4, 5),
        "college": lambda rng: _draw_value(rng, 4, -3, 3),
    },
    _phrase_value,
    _work_value,
)


POLYNOMIAL_PRODUCT = Family(
    "polynomial_product",
    "algebra",
    {
        "middle": lambda rng: _draw_product(rng, 1, 1, 1),
        "high": lambda rng: _draw_product(rng, 1, 1, 5),
        "college": lambda rng: _draw_product(rng, 1, 2, 1),
        "graduate": lambda rng: _draw_product(rng, 1, 2, 4),
    },
    _phrase_product,
    _work_product,
)
