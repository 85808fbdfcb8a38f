"""What a base model reads before it learns to reason: facts, and questions without any work.

It gives what any larger base model has from its pre-training: arithmetic facts, finding and copying
what stands earlier in the text, and the form of an answer. No text works a question out: what is
asked about one is what stands in it, or its bare answer. Only training questions are used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from minireason.problems.atoms import ATOMS, Atom
from minireason.problems.facts import READING_PROMPTS, draw_atom, fact_text
from minireason.problems.procedural import bare_answer
from minireason.records import Question

_NUMBER = re.compile(r"\d+")
_OPTION = re.compile(r"([A-D])\) (.+?)(?=  [A-D]\) |$)")
_LIST, _REPEAT, _WHICH, *_PLACES = READING_PROMPTS
_LETTERS = "ABCDEFG"
_STEPS = (-10, -2, -1, 1, 2, 10)
_NAMES = "abcdehkmnpqrstuvwyz"
_BINARY = ("add", "sub", "mul", "div")
_CHAINED = (*_BINARY, "mod")
_WRITTEN = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_ATTEMPTS = 40


@dataclass(frozen=True, slots=True)
class PretrainingText:
    """A text; with a `prompt` it is the assistant's answer to it."""

    text: str
    prompt: str = ""


def facts(rng: Random) -> PretrainingText:
    """Facts one by one, that use earlier results or named numbers; or numbers to find again."""
    kind = rng.random()
    if kind < 0.13:
        return PretrainingText(repeated_numbers(rng))
    if kind < 0.21:
        return PretrainingText(lettered_numbers(rng))
    if kind < 0.6:
        return PretrainingText(fact_text(rng))
    return PretrainingText(chained_facts(rng) if kind < 0.8 else named_facts(rng))


def questions(question: Question, rng: Random) -> PretrainingText:
    """A question to read (its numbers, options or wording), or with its bare answer."""
    kind = rng.random()
    if kind < 0.05:
        return PretrainingText(bare_answer(question.id), question.text)
    options = _OPTION.findall(question.text)
    if options and kind < 0.6:
        letter, value = rng.choice(options)
        prompt = f"{question.text}\n{_WHICH.format(value=value)}"
        return PretrainingText(f"{value} is {letter}", prompt)
    numbers = _NUMBER.findall(question.text)
    if numbers and kind < 0.4:
        return PretrainingText(", ".join(numbers), f"{question.text}\n{_LIST}")
    if numbers and kind < 0.65:
        place = rng.randrange(min(len(numbers), len(_PLACES)))
        return PretrainingText(numbers[place], f"{question.text}\n{_PLACES[place]}")
    return PretrainingText(question.text, f"{question.text}\n{_REPEAT}")


def repeated_numbers(rng: Random) -> str:
    """A list of random numbers, twice: nothing but the copy can be learned, so copying is."""
    listed = ", ".join(str(rng.randint(0, 99)) for _ in range(rng.randint(6, 18)))
    return f"{listed}; {listed}"


def lettered_numbers(rng: Random) -> str:
    """Lettered numbers, then their letters three times, twice in another order: to look up."""
    near = rng.randint(0, rng.choice((30, 99, 300)))
    numbers = [near]
    for _ in range(rng.randint(3, 6)):
        is_close = rng.choice((True, False))
        numbers.append(near + rng.choice(_STEPS) if is_close else rng.randint(-20, 300))
    numbers = list(dict.fromkeys(numbers))
    rng.shuffle(numbers)
    pairs = list(zip(numbers, _LETTERS, strict=False))
    listed = "  ".join(f"{letter}) {number}" for number, letter in pairs)
    lines = [", ".join(f"{number} is {letter}" for number, letter in pairs)]
    for _ in range(2):
        rng.shuffle(pairs)
        lines.append(", ".join(f"{number} is {letter}" for number, letter in pairs))
    return "\n".join([listed, *lines])


def chained_facts(rng: Random) -> str:
    """Lines in which the operands are mostly results of earlier lines."""
    known = [rng.randint(1, 30), rng.randint(1, 12)]
    lines: list[str] = []
    for _ in range(rng.randint(4, 9)):
        atom = _draw_from(known, rng) or draw_atom(rng.choice(_BINARY), rng)
        lines.append(str(atom))
        known.append(atom.value)
    return "\n".join(lines)


def named_facts(rng: Random) -> str:
    """`a=39, b=98` and then `a+b=39+98=137`: a name stands for its number."""
    names = rng.sample(_NAMES, rng.randint(2, 5))
    values = {name: rng.randint(1, rng.choice((12, 30, 99))) for name in names}
    lines = [", ".join(f"{name}={value}" for name, value in values.items())]
    for _ in range(rng.randint(2, 5)):
        for _attempt in range(_ATTEMPTS):
            op, (one, other) = rng.choice(_BINARY), rng.sample(names, 2)
            write, accepts = ATOMS[op]
            if accepts(values[one], values[other]):
                lines.append(f"{one}{_WRITTEN[op]}{other}={write(values[one], values[other])}")
                break
    return "\n".join(lines)


def _draw_from(known: list[int], rng: Random) -> Atom | None:
    """A fact with at least one operand among the latest known values."""
    for _ in range(_ATTEMPTS):
        write, accepts = ATOMS[rng.choice(_CHAINED)]
        a = rng.choice(known[-4:])
        b = rng.choice(known[-4:]) if rng.random() < 0.5 else rng.randint(1, 12)
        if rng.random() < 0.3:
            a, b = b, a
        if accepts(a, b):
            return write(a, b)
    return None
