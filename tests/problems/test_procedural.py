"""Generated questions: balanced, held apart by split, rebuilt from their ids, right and wrong."""

import re
from collections import Counter
from fractions import Fraction
from random import Random

import pytest

from minireason.errors import DataError
from minireason.problems.benchmarks import BENCHMARKS, load_benchmark
from minireason.problems.family import split_of
from minireason.problems.procedural import (
    bare_answer,
    generate_questions,
    problem_of,
    question_of,
    worked_solution,
)
from minireason.problems.scratch import STYLES
from minireason.records import LEVELS, Question


def boxed(solution: str) -> str:
    return re.search(r"\\boxed\{(.*)\}\.$", solution)[1]


@pytest.fixture(scope="module")
def train() -> list[Question]:
    return generate_questions(5000, 1, "train")


def test_questions_are_balanced_over_levels_and_families() -> None:
    questions = generate_questions(500, 2, "train")
    assert Counter(q.level for q in questions) == dict.fromkeys(LEVELS, 100)
    for level in LEVELS:
        families = Counter(q.id.split(":")[1] for q in questions if q.level == level)
        assert max(families.values()) - min(families.values()) <= 1


def test_no_question_comes_twice(train: list[Question]) -> None:
    assert len({q.text.split("\n")[0] for q in train}) == len(train)
    assert len({q.id for q in train}) == len(train)


def test_the_same_seed_gives_the_same_questions() -> None:
    assert generate_questions(60, 3, "train") == generate_questions(60, 3, "train")
    assert generate_questions(60, 3, "train") != generate_questions(60, 4, "train")


def test_train_and_eval_share_no_identity(train: list[Question]) -> None:
    held_out = generate_questions(1000, 1, "eval")
    identities = {problem_of(q.id).identity for q in train}
    assert {split_of(i) for i in identities} == {"train"}
    assert not identities & {problem_of(q.id).identity for q in held_out}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_share_no_identity_with_training(name: str, train: list[Question]) -> None:
    identities = {problem_of(q.id).identity for q in train}
    texts = {q.text.split("\n")[0] for q in train}
    for question in load_benchmark(name):
        assert problem_of(question.id).identity not in identities
        assert question.text.split("\n")[0] not in texts


def test_question_is_rebuilt_from_its_id(train: list[Question]) -> None:
    for question in train[:500]:
        assert question_of(problem_of(question.id)) == question


def test_choice_fraction_is_kept(train: list[Question]) -> None:
    assert 0.12 < sum(q.answer_kind == "choice" for q in train) / len(train) < 0.18
    assert not any(
        q.answer_kind == "choice" for q in generate_questions(100, 1, "train", choice_fraction=0)
    )


def test_correct_solutions_end_in_the_answer_and_flawed_ones_do_not(train: list[Question]) -> None:
    for seed, question in enumerate(train[:1500]):
        right = worked_solution(question.id, Random(seed), is_correct=True)
        wrong = worked_solution(question.id, Random(seed), is_correct=False)
        assert boxed(right) == question.answer
        assert boxed(wrong) != question.answer
        assert wrong.count("\n") >= 1


@pytest.mark.parametrize("style", STYLES)
def test_solutions_are_the_same_for_the_same_seed(style: str) -> None:
    question = generate_questions(1, 5, "train")[0]
    first, second = (
        worked_solution(question.id, Random(1), is_correct=True, style=style) for _ in range(2)
    )
    assert first == second


def test_some_correct_solutions_check_or_correct_a_step(train: list[Question]) -> None:
    solutions = [worked_solution(q.id, Random(1), is_correct=True) for q in train[:1]] + [
        worked_solution(q.id, Random(i), is_correct=True) for i, q in enumerate(train[:600])
    ]
    assert 0.04 < sum("Wait, check" in s for s in solutions) / 600 < 0.14
    assert 0.04 < sum("\nCheck: " in s for s in solutions) / 600 < 0.16


def test_styles_differ_in_length(train: list[Question]) -> None:
    mean = {
        style: sum(
            len(worked_solution(q.id, Random(0), is_correct=True, style=style)) for q in train[:300]
        )
        for style in STYLES
    }
    assert mean["terse"] < mean["plain"] < mean["verbose"]


def test_bare_answer_is_one_line(train: list[Question]) -> None:
    assert bare_answer(train[0].id) == f"The answer is \\boxed{{{train[0].answer}}}."


@pytest.mark.parametrize(
    "question_id",
    ["", "gsm8k:12", "procedural:nothing:high:1:0", "procedural:chain_sum:high:1,2:9",
     "procedural:chain_sum:college:1,2:0", "procedural:quadratic:high:1:0",
     "procedural:chain_sum:high:1,2:0:d4"],
)  # fmt: skip
def test_an_unknown_id_is_a_clear_error(question_id: str) -> None:
    with pytest.raises(DataError):
        problem_of(question_id)


def test_unknown_names_and_empty_selections_are_errors() -> None:
    with pytest.raises(DataError, match="unknown level 'hard'; allowed: elementary"):
        generate_questions(1, 1, "train", levels=["hard"])
    with pytest.raises(DataError, match="unknown family 'sums'"):
        generate_questions(1, 1, "train", families=["sums"])
    with pytest.raises(DataError, match="holds no more"):
        generate_questions(5, 1, "train", levels=["graduate"], families=["chain_sum"])


def test_one_family_at_one_level_can_be_asked_for() -> None:
    questions = generate_questions(40, 1, "eval", levels=["college"], families=["quadratic"])
    assert {q.id.split(":")[1] for q in questions} == {"quadratic"}


def test_every_equation_of_numbers_in_a_correct_solution_holds() -> None:
    found = 0
    for number, question in enumerate(generate_questions(400, 8, "train")):
        for style in STYLES:
            rng = Random(number)
            text = worked_solution(question.id, rng, is_correct=True, style=style)
            if "Wait" in text:  # a slip that is put right on the line that follows
                continue
            for sides in re.findall(r"(?m)^([-\d+*/()]+)=([-\d+*/()]+)$", text):
                python = [re.sub(r"(\d+)", r"Fraction(\1)", side) for side in sides]
                left, right = (eval(side, {"Fraction": Fraction}) for side in python)
                assert left == right, text
                found += 1
    assert found > 3000
