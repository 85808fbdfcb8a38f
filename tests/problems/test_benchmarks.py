"""The embedded benchmarks have the sizes, levels and answer kinds that they promise."""

from collections import Counter

import pytest

from minireason.errors import DataError
from minireason.problems.benchmarks import BENCHMARKS, load_benchmark
from minireason.records import LEVELS


def test_math_has_three_hundred_questions_of_every_level_and_kind() -> None:
    questions = load_benchmark("embedded-math")
    assert Counter(q.level for q in questions) == dict.fromkeys(LEVELS, 60)
    assert {q.answer_kind for q in questions} == {"integer", "fraction", "expression", "tuple"}


def test_hard_has_small_whole_numbers_of_the_two_highest_levels() -> None:
    questions = load_benchmark("embedded-hard")
    assert Counter(q.level for q in questions) == {"college": 60, "graduate": 60}
    assert all(0 <= int(q.answer) <= 999 for q in questions)


def test_choice_is_all_multiple_choice() -> None:
    questions = load_benchmark("embedded-choice")
    assert len(questions) == 150
    assert {q.answer_kind for q in questions} == {"choice"}
    assert {q.answer for q in questions} == set("ABCD")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmarks_are_the_same_every_time_without_repeats(name: str) -> None:
    questions = load_benchmark(name)
    assert questions == load_benchmark(name)
    assert len({q.text for q in questions}) == len(questions)


def test_an_unknown_benchmark_is_an_error_that_names_the_known() -> None:
    with pytest.raises(DataError, match="embedded-math, embedded-hard, embedded-choice"):
        load_benchmark("aime")
