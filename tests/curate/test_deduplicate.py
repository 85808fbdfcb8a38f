from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.deduplicate import SeenQuestions, normalised, response_key
from minireason.records import Question


def question(id, text, answer="1"):
    return Question(id, text, answer, "t")


@pytest.mark.parametrize(
    "other", ["  find  X\nif $x = 2$. ", "FIND x if \\, x = 2", "Find $x$ if x = 2?"]
)
def test_texts_that_differ_in_dress_are_equal(other):
    assert normalised(other) == normalised("Find $x$ if $x = 2$.")


@pytest.mark.parametrize("other", ["Find 2-3", "Find 23", "Find 2+4", "Find x² + 3"])
def test_texts_that_differ_in_mathematics_are_not(other):
    assert normalised(other) not in (normalised("Find 2+3"), normalised("Find x2 + 3"))


@given(st.text())
def test_normalising_twice_changes_nothing_more(text):
    assert normalised(normalised(text)).split() == normalised(text).split()


def test_first_of_equal_questions_is_new_and_conflicting_answers_are_told_apart():
    seen = SeenQuestions()
    assert [seen.repeats(q) for q in (question("a", "One?"), question("d", "2?"))] == ["", ""]
    assert seen.repeats(question("b", "one")) == "duplicate question"
    assert seen.repeats(question("c", "One?", "2")) == "duplicate question with another answer"
    assert seen.repeats(question("a", "One?", "1 ")) == "duplicate question"


@pytest.mark.parametrize(("text", "same"), [("x  y\n", True), ("X y", False)])
def test_responses_are_the_same_up_to_white_space(text, same):
    assert (response_key(text) == response_key("x y")) == same


def test_a_real_set_has_repeats(data_folder):
    from minireason.problems.sources import iter_questions

    seen = SeenQuestions()
    questions = iter_questions(str(data_folder / "problems" / "tal_scq5k_en_train.jsonl"))
    reasons = Counter(seen.repeats(question) for question in questions)
    assert reasons.total() == 2999 and 0 < reasons["duplicate question"] < 300
