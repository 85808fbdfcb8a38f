"""What the base model reads: true facts, and readings that can be checked."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from random import Random

from minireason.problems import pretraining
from minireason.problems.procedural import bare_answer, generate_questions
from minireason.records import Question

QUESTIONS = generate_questions(600, 4, "train")


def value_of(expression: str) -> Fraction:
    """Of digits and operators only."""
    assert re.fullmatch(r"[-\d+*/^()]+", expression)
    python = re.sub(r"(\d+)", r"Fraction(\1)", expression.replace("^", "**"))
    return eval(python, {"Fraction": Fraction})


def readings() -> list[tuple[Question, pretraining.PretrainingText]]:
    rng = Random(3)
    return [(q, pretraining.questions(q, rng)) for q in QUESTIONS for _ in range(3)]


def test_every_fact_that_is_written_is_true() -> None:
    rng = Random(0)
    lines = [line for _ in range(800) for line in pretraining.facts(rng).text.split("\n")]
    equations = [line for line in lines if re.fullmatch(r"[-\d+*/^()]+=[-\d+*()]+", line)]
    assert len(equations) > 2000
    for line in equations:
        left, right = line.split("=")
        assert value_of(left) == value_of(right), line


def test_repeated_numbers_are_the_same_twice() -> None:
    for seed in range(50):
        first, again = pretraining.repeated_numbers(Random(seed)).split("; ")
        assert first == again and first.count(", ") >= 5


def test_lettered_numbers_keep_their_letters_in_another_order() -> None:
    num_same = 0
    for seed in range(60):
        listed, *lines = pretraining.lettered_numbers(Random(seed)).split("\n")
        pairs = {tuple(item.split(") ")[::-1]) for item in listed.split("  ")}
        assert 2 <= len(pairs) <= 7 and len(lines) == 3
        for line in lines:
            assert {tuple(item.split(" is ")) for item in line.split(", ")} == pairs
        num_same += lines[0] in lines[1:]
    assert num_same < 20


def test_named_facts_hold_for_the_numbers_they_name() -> None:
    for seed in range(60):
        first, *facts = pretraining.named_facts(Random(seed)).split("\n")
        values = dict(pair.split("=") for pair in first.split(", "))
        for fact in facts:
            names, written, result = fact.split("=")
            one, op, other = names
            assert written == f"{values[one]}{op}{values[other]}"
            assert value_of(written) == int(result)


def test_a_reading_answers_what_is_asked() -> None:
    asked = Counter()
    for question, text in readings():
        numbers = re.findall(r"\d+", question.text)
        last = text.prompt.rsplit("\n", 1)[-1]
        asked[last.split()[0] if text.prompt != question.text else "bare"] += 1
        if text.prompt == question.text:
            assert text.text == bare_answer(question.id)
        elif last == "List the numbers.":
            assert text.text == ", ".join(numbers)
        elif last == "Repeat the question.":
            assert text.text == question.text
        elif last.startswith("Which option is "):
            value = last.removeprefix("Which option is ").removesuffix("?")
            letter = text.text[-1]
            assert text.text == f"{value} is {letter}"
            assert re.search(rf"{letter}\) {re.escape(value)}(  |$)", question.text)
        else:
            place = ("first", "second", "third", "fourth", "fifth").index(last.split()[3])
            assert text.text == numbers[place]
    assert set(asked) == {"bare", "List", "Repeat", "Which", "What"}
    assert asked["bare"] < 0.1 * sum(asked.values())


def test_the_option_that_is_asked_for_says_nothing_about_the_answer() -> None:
    choices = [q for q in QUESTIONS if q.answer_kind == "choice"]
    rng = Random(5)
    asked = [(q, pretraining.questions(q, rng)) for q in choices for _ in range(20)]
    letters = [(q.answer, t.text[-1]) for q, t in asked if "Which option is" in t.prompt]
    share = sum(answer == letter for answer, letter in letters) / len(letters)
    assert len(letters) > 500 and 0.18 < share < 0.32
