"""Text from which a base model learns the arithmetic facts that the solutions are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from minireason.problems.atoms import ATOMS, HIGH, MOD_HIGH, ROOT_HIGH, TABLE, Atom
from minireason.problems.procedural import generate_questions, worked_solution
from minireason.problems.scratch import STYLES
from minireason.seeding import derive_seed

READING_PROMPTS = (
    "List the numbers.",
    "Repeat the question.",
    "Which option is {value}?",
    *(f"What is the {place} number?" for place in ("first", "second", "third", "fourth", "fifth")),
)


def _near_zero(rng: Random, high: int) -> int:
    """A number up to `high`, small ones as often as large ones, now and then negative."""
    top = rng.choice((12, 40, 99, high))
    n = rng.randint(0, min(top, high))
    return -n if rng.random() < 0.15 else n


def _draw_addend(rng: Random) -> int:
    return rng.choice((100, 200, 300)) if rng.random() < 0.08 else abs(_near_zero(rng, 99))


def _draw_product(rng: Random) -> tuple[int, int]:
    kind = rng.random()
    if kind < 0.25:
        a, b = rng.randint(1, TABLE), rng.choice((10, 10, 100)) * rng.randint(1, 9)
    elif kind < 0.32:
        a, b = rng.randint(1, 99), 10
    else:
        a, b = (rng.randint(0, TABLE) * rng.choice((1, 1, 1, -1)) for _ in range(2))
    return (a, b) if rng.random() < 0.5 else (b, a)


def _draw_quotient(rng: Random) -> tuple[int, int]:
    q, b = _draw_product(rng)
    return q * b, b


def _draw_mod(rng: Random) -> tuple[int, int]:
    b = rng.randint(2, TABLE)
    return rng.randint(0, rng.choice((12 * b, MOD_HIGH))), b


def _draw_root(rng: Random) -> tuple[int, int]:
    n = rng.randint(1, ROOT_HIGH)
    return n * rng.choice((1, 1, -1)), 2


Draw = Callable[[Random], tuple[int, int]]
_DRAWS: dict[str, tuple[int, Draw]] = {
    "add": (30, lambda rng: (_near_zero(rng, HIGH), _draw_addend(rng))),
    "sub": (24, lambda rng: (_near_zero(rng, HIGH), _draw_addend(rng))),
    "mul": (20, _draw_product),
    "div": (12, _draw_quotient),
    "mod": (6, _draw_mod),
    "quotient": (4, _draw_mod),
    "square": (2, _draw_root),
    "sqrt": (1, lambda rng: (rng.randint(0, ROOT_HIGH) ** 2, 2)),
    "split": (2, lambda rng: (rng.randint(4, ROOT_HIGH**2), 2)),
}


def draw_atom(op: str, rng: Random) -> Atom:
    """A random fact of one kind, drawn until it lies in the range of `atoms`."""
    write, accepts = ATOMS[op]
    while True:
        a, b = _DRAWS[op][1](rng)
        if accepts(a, b):
            return write(a, b)


def fact_text(rng: Random) -> str:
    """A few facts, one a line as in a solution; every kind of `atoms` comes up."""
    weights = [weight for weight, _ in _DRAWS.values()]
    kinds = rng.choices(list(_DRAWS), weights, k=rng.randint(3, 8))
    return "\n".join(str(draw_atom(op, rng)) for op in kinds)


def tokenizer_corpus(num: int, seed: int) -> Iterator[str]:
    """Text to train a tokenizer on: `num` training questions, each with a solution, and facts."""
    questions = generate_questions(num, derive_seed("tokenizer", seed), "train")
    for index, question in enumerate(questions):
        rng = Random(derive_seed("tokenizer", seed, question.id))
        style = STYLES[index % len(STYLES)]
        yield question.text
        yield worked_solution(question.id, rng, is_correct=True, style=style)
        yield fact_text(rng)
        yield READING_PROMPTS[index % len(READING_PROMPTS)]
