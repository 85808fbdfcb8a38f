import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.deduplicate import deduplicate_questions, normalised, response_key
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


def test_first_of_equal_questions_stays_and_conflicting_answers_are_told_apart():
    kept, ledger = deduplicate_questions(
        [
            question("a", "One?"),
            question("b", "one"),
            question("c", "One?", "2"),
            question("d", "2?"),
        ]
    )
    assert [q.id for q in kept] == ["a", "d"]
    assert ledger.as_dict() == {
        "in": 4,
        "out": 2,
        "dropped: duplicate question": 1,
        "dropped: duplicate question with another answer": 1,
    }


@pytest.mark.parametrize(("text", "same"), [("x  y\n", True), ("X y", False)])
def test_responses_are_the_same_up_to_white_space(text, same):
    assert (response_key(text) == response_key("x y")) == same


def test_real_set_has_repeats_and_their_account_holds(data_folder):
    from minireason.problems.sources import load_questions

    questions = load_questions(str(data_folder / "problems" / "tal_scq5k_en_train.jsonl"))
    kept, ledger = deduplicate_questions(questions)
    assert len(kept) == ledger.num_out < len(questions)
    assert deduplicate_questions(kept)[1].dropped == {}
