"""Any problem as a multiple-choice one.

The distractors are where slips in the family's own solution lead, and near misses after that.
The identity stays the underlying problem's, so that the splits hold for both versions.
"""

from __future__ import annotations

import dataclasses
import re
from random import Random

from minireason.problems.family import Problem
from minireason.problems.scratch import DerailedError, Scratch
from minireason.seeding import derive_seed

LETTERS = "ABCD"
_TRIES = 24


def slipped_answer(problem: Problem, rng: Random) -> str | None:
    """Where one random slip leads; None where it derails or cancels."""
    counter = Scratch(rng, "terse")
    problem.work(counter)
    try:
        answer = problem.work(Scratch(rng, "terse", slip_at=rng.randrange(counter.num_facts)))
    except DerailedError:
        return None
    return None if answer == problem.answer else answer


def near_miss(answer: str, rng: Random) -> str:
    """The answer with one of its numbers changed a little; never the answer itself."""
    numbers = list(re.finditer(r"\d+", answer))
    if not numbers:
        return rng.choice(("2", "3", "4")) + answer
    spot = rng.choice(numbers)
    changed = int(spot[0]) + rng.choice((1, 2, 10) if int(spot[0]) < 2 else (1, -1, 2, 10))
    return answer[: spot.start()] + str(changed) + answer[spot.end() :]


def _options(problem: Problem, rng: Random) -> list[str]:
    options = {problem.answer: None}
    for _ in range(_TRIES):
        slipped = slipped_answer(problem, rng)
        if slipped is not None:
            options[slipped] = None
        if len(options) == len(LETTERS):
            break
    while len(options) < len(LETTERS):
        options[near_miss(problem.answer, rng)] = None
    wrong = list(options)[1:]
    wrong.insert(rng.randrange(len(LETTERS)), problem.answer)
    return wrong


def as_choice(problem: Problem, seed: int) -> Problem:
    """The problem with the options A-D, drawn from `seed`; the answer is the letter."""
    options = _options(problem, Random(derive_seed("choice", problem.id, seed)))
    right = LETTERS[options.index(problem.answer)]
    listed = "  ".join(f"{letter}) {o}" for letter, o in zip(LETTERS, options, strict=True))

    def work(scratch: Scratch) -> str:
        value = problem.work(scratch)
        pairs = zip(options, LETTERS, strict=True)
        scratch.state(", ".join(f"{option} is {letter}" for option, letter in pairs))
        if value in options:
            letter = LETTERS[options.index(value)]
            scratch.state(f"{value} is {letter}")
            return letter
        others = LETTERS.replace(right, "")
        letter = others[derive_seed(value) % len(others)]
        scratch.state(f"{value} is closest to {letter}")
        return letter

    return dataclasses.replace(
        problem,
        id=f"{problem.id}:c{seed}",
        text=f"{problem.text}\n{listed}",
        answer=right,
        answer_kind="choice",
        work=work,
    )
