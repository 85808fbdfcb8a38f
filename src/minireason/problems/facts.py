"""Text from which a base model learns the arithmetic facts that the solutions are made of."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from minireason.problems.atoms import ATOMS, draw_atom
from minireason.problems.procedural import bare_answer, generate_questions, worked_solution
from minireason.problems.scratch import STYLES
from minireason.records import Question
from minireason.seeding import derive_seed

_WEIGHTS = {
    "add": 30,
    "sub": 24,
    "mul": 20,
    "div": 12,
    "mod": 6,
    "quotient": 4,
    "square": 2,
    "sqrt": 1,
    "split": 2,
}


def fact_text(rng: Random) -> str:
    """A few facts, one a line as in a solution; every kind of `atoms` comes up."""
    kinds = rng.choices(list(ATOMS), [_WEIGHTS[op] for op in ATOMS], k=rng.randint(3, 8))
    return "\n".join(str(draw_atom(op, rng)) for op in kinds)


def bare_question_text(question: Question) -> tuple[str, str]:
    """A question and its answer line without any work: what a base model knows of the format."""
    return question.text, bare_answer(question.id)


def tokenizer_corpus(num: int, seed: int) -> Iterator[str]:
    """Text to train a tokenizer on: `num` training questions, each with a solution, and facts."""
    questions = generate_questions(num, derive_seed("tokenizer", seed), "train")
    for index, question in enumerate(questions):
        rng = Random(derive_seed("tokenizer", seed, question.id))
        style = STYLES[index % len(STYLES)]
        yield question.text
        yield worked_solution(question.id, rng, is_correct=True, style=style)
        yield fact_text(rng)
