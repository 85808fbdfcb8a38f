import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.language import (
    dominant_script,
    foreign_share,
    letters_by_script,
    other_script_share,
)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("ab, é ﬁ Ａ", {"latin": 5}),
        ("所以 かな 한국", {"cjk": 6}),
        ("да ёж", {"cyrillic": 4}),
        ("שלום نعم हाँ ไทย", {"hebrew": 4, "arabic": 3, "indic": 1, "thai": 3}),
        ("∑ αβγ ℝ 𝑥 𝟙 x² 12", {"latin": 1}),
        ("", {}),
    ],
)
def test_letters_are_counted_by_script_without_mathematics(text, counts):
    assert letters_by_script(text) == counts


def test_share_is_of_the_letters_in_another_script():
    assert other_script_share("abcdef 所以", "latin") == 0.25
    assert other_script_share("Let α = ∠ABC, x² ∈ ℝ.", "latin") == 0.0
    assert other_script_share("12 + 30", "latin") == 0.0


def test_latin_letters_are_formulas_where_the_question_is_in_another_script():
    assert other_script_share("设 ABC 为三角形", "cjk") == 0.0
    assert other_script_share("设三角 да", "cjk") == 0.4


def test_dominant_script_is_read_outside_formulas():
    assert dominant_script(r"设 $\triangle ABC$ 中, 求 \overline{AB}") == "cjk"
    assert dominant_script("Find $x$.") == "latin"
    assert dominant_script("$x^2 = 4$") == "latin"


@given(st.text())
def test_every_letter_is_counted_once_at_most(text):
    assert sum(letters_by_script(text).values()) <= sum(c.isalpha() for c in text)
    assert 0.0 <= other_script_share(text, "latin") <= 1.0


def test_foreign_share_of_a_response_is_by_its_questions_script():
    assert foreign_share("所以 x is two", "What is x?") == pytest.approx(2 / 8)
    assert foreign_share("所以 x = 2", "求 x") == 0.0
    assert foreign_share("So x is two", "求 x") == 0.0
