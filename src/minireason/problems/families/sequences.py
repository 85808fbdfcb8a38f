"""Sequences: arithmetic ones and their sums, and recurrences."""

from __future__ import annotations

from minireason.problems.families.algebra import nonzero
from minireason.problems.family import Family, Params
from minireason.problems.notation import multiple
from minireason.problems.scratch import Scratch


def _phrase_sequence(params: Params) -> tuple[str, ...]:
    kind, a, d, n = params[:4]
    if kind == 3:
        q = params[4]
        more = f"{'plus' if q > 0 else 'minus'} {abs(q)}"
        rule = f"starts with {a}, each next number is {d} times the last one {more}"
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
    what = f"term number {n}"
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
    return str(s.add(a, s.mul(s.sub(n, 1), step)))


SEQUENCE = Family(
    "sequence",
    "algebra",
    {
        "elementary": lambda rng: (0, rng.randint(1, 60), nonzero(rng, -15, 15), 4),
        "middle": lambda rng: (1, rng.randint(1, 30), rng.randint(2, 9), rng.randint(5, 12)),
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
