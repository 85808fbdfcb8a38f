"""Algebra: linear equations and systems, polynomials, sequences (quadratics have a file)."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import multiple, polynomial, signed
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


def _phrase_sequence(params: Params) -> tuple[str, ...]:
    kind, a, d, n = params[:4]
    if kind == 3:
        q = params[4]
        rule = f"starts with {a}, each next number is {d} times the last one{signed(q)}"
        return (
            f"A sequence {rule}. What is number {n}?",
            f"A list {rule}. Find number {n}.",
            f"Find term {n} of a sequence that {rule}.",
        )
    if kind == 4:
        p, q = params[4:]
        rule = f"a1={a}, a2={d}, a(n)={multiple(p, 'a(n-1)')}{'+' if q > 0 else ''}"
        rule += multiple(q, "a(n-2)")
        return (f"Let {rule}. Find a{n}.", f"Given {rule}, what is a{n}?", f"If {rule}, find a{n}.")
    terms = f"{a}, {a + d}, {a + 2 * d}, ..."
    if kind == 0:
        return (
            f"What comes next: {terms}?",
            f"Find the next number of {terms}",
            f"Continue {terms} by one number.",
        )
    what = "the sum of the first {} terms" if kind == 2 else "term number {}"
    what = what.format(n)
    return (f"What is {what} of {terms}?", f"Find {what} of {terms}", f"For {terms} find {what}.")


def _work_sequence(params: Params, s: Scratch) -> str:
    kind, a, d, n = params[:4]
    if kind == 3:
        for _ in range(n - 1):
            a = s.add(s.mul(a, d), params[4])
        return str(a)
    if kind == 4:
        p, q = params[4:]
        for _ in range(n - 2):
            high = d if p == 1 else s.mul(p, d)
            a, d = d, s.add(high, a if q == 1 else s.mul(q, a))
        return str(d)
    step = s.sub(a + d, a)
    if kind == 0:
        return str(s.add(a + 2 * d, step))
    last = s.add(a, s.mul(s.sub(n, 1), step))
    if kind == 1:
        return str(last)
    ends = s.add(a, last)
    return str(s.mul(ends, s.div(n, 2)) if n % 2 == 0 else s.mul(s.div(ends, 2), n))


def _draw_sum_of_terms(rng: Random) -> Params:
    return (2, rng.randint(1, 20), rng.randint(2, 9), rng.randint(5, 10))


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
)
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
SEQUENCE = Family(
    "sequence",
    "algebra",
    {
        "elementary": lambda rng: (0, rng.randint(1, 60), nonzero(rng, -15, 15), 4),
        "middle": lambda rng: (1, rng.randint(1, 30), rng.randint(2, 9), rng.randint(5, 12)),
        "high": _draw_sum_of_terms,
        "college": lambda rng: (
            3,
            rng.randint(2, 9),
            rng.randint(2, 3),
            rng.randint(4, 5),
            nonzero(rng, -5, 9),
        ),
        "graduate": lambda rng: (
            4,
            rng.randint(1, 6),
            rng.randint(1, 6),
            6,
            rng.randint(1, 3),
            nonzero(rng, -2, 3),
        ),
    },
    _phrase_sequence,
    _work_sequence,
)
