import pytest

from minireason.verify.choice import choice_letter, is_choice


@pytest.mark.parametrize("text", ["B", "(B)", "B)", "B.", r"\text{B}", r"\textbf{(B)} 42", "b"])
def test_a_choice_has_many_spellings(text):
    assert choice_letter(text) == "B"


@pytest.mark.parametrize("text", ["", "42", "BA", "Because", "A cat", "(5)", "K"])
def test_other_answers_name_no_option(text):
    assert choice_letter(text) == ""


@pytest.mark.parametrize(
    ("reference", "kind", "expected"),
    [("C", "", True), ("(C)", "", True), ("c", "", False), ("C", "expression", False)],
)
def test_a_capital_letter_is_an_option_unless_the_kind_says_otherwise(reference, kind, expected):
    assert is_choice(reference, kind) is expected
