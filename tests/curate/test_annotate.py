import pytest

from minireason.curate.annotate import annotate, domain_of, level_of, num_steps
from minireason.records import DOMAINS, LEVELS, Question


def question(text="?", **known):
    return Question("q", text, "1", "t", **known)


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
def test_domain_is_read_from_the_text(text, domain):
    assert domain_of(question(text)) == domain


@pytest.mark.parametrize(
    ("stated", "domain"),
    [
        ("Intermediate Algebra", "algebra"),
        ("Counting & Probability", "counting"),
        ("Number Theory", "number_theory"),
        ("Subtraction", "arithmetic"),
        ("geometry", "geometry"),
        ("organic chemistry", "organic chemistry"),
    ],
)
def test_domain_of_the_source_goes_before_the_text(stated, domain):
    assert domain_of(question("A triangle has angles.", domain=stated)) == domain


@pytest.mark.parametrize(
    ("stated", "level"),
    [
        ("Level 1", "middle"),
        ("Level 4", "high"),
        ("Level 5", "college"),
        ("grade school", "elementary"),
        ("AMC", "high"),
        ("AIME", "college"),
        ("difficulty 1", "elementary"),
        ("graduate", "graduate"),
        ("undergraduate", "college"),
        ("postdoc", "postdoc"),
    ],
)
def test_level_is_read_from_what_the_source_says(stated, level):
    assert level_of(question(level=stated)) == level


@pytest.mark.parametrize(
    ("steps", "level"),
    [(0, ""), (3, "elementary"), (4, "middle"), (12, "high"), (25, "college"), (26, "graduate")],
)
def test_level_without_a_word_of_the_source_is_by_steps(steps, level):
    solution = "We add one.\n" * steps
    assert num_steps(solution) == steps
    assert level_of(question(solution=solution)) == level
    assert level_of(question(solution=solution, level="Level ?")) == level


def test_real_sets_get_a_domain_and_a_level(data_folder):
    from minireason.problems.sources import load_questions

    for name in ("problems/gsm8k_train", "benchmarks/math500", "benchmarks/olympiadbench"):
        for q in annotate(load_questions(str(data_folder / f"{name}.jsonl"), limit=300)):
            assert q.domain in DOMAINS and q.level in LEVELS
