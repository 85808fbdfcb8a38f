import pytest

from minireason.curate.rules import (
    domain_by_words,
    level_by_steps,
    num_steps,
    stated_domain,
    stated_level,
)


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("What is the area of a triangle with base 3 and height 4?", "geometry"),
        ("Two dice are thrown. What is the probability that both show 6?", "counting"),
        ("What is the remainder of 77 divided by 5?", "number_theory"),
        ("Find the roots of the polynomial x^2 - 5x + 6.", "algebra"),
        ("Ann buys three pens for $2 each. How much does she pay in total?", "arithmetic"),
        ("Why?", ""),
    ],
)
def test_domain_is_the_one_whose_words_are_used_most(text, domain):
    assert domain_by_words(text) == domain


@pytest.mark.parametrize(
    ("label", "domain"),
    [
        ("Intermediate Algebra", "algebra"),
        ("Counting & Probability", "counting"),
        ("Subtraction", "arithmetic"),
        ("geometry", "geometry"),
        ("Prealgebra", ""),
        ("organic chemistry", "organic chemistry"),
        ("", ""),
    ],
)
def test_domain_that_a_subject_names(label, domain):
    assert stated_domain(label) == domain


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("Level 1", "middle"),
        ("Level 4", "high"),
        ("Level 5", "college"),
        ("Level ?", ""),
        ("grade school", "elementary"),
        ("AMC", "high"),
        ("AIME", "college"),
        ("difficulty 1", "elementary"),
        ("graduate", "graduate"),
        ("undergraduate", "college"),
        ("postdoc", "postdoc"),
        ("", ""),
    ],
)
def test_level_that_a_source_names(label, level):
    assert stated_level(label) == level


@pytest.mark.parametrize(
    ("steps", "level"),
    [(0, ""), (3, "elementary"), (4, "middle"), (12, "high"), (25, "college"), (26, "graduate")],
)
def test_level_by_the_steps_of_the_solution(steps, level):
    solution = "We add one.\n" * steps
    assert num_steps(solution) == steps
    assert level_by_steps(solution) == level
