"""Multiple-choice versions: four different options, the letter uniform, the work kept."""

from collections import Counter
from random import Random

from minireason.problems.choice import LETTERS, as_choice, near_miss
from minireason.problems.families import FAMILIES
from minireason.problems.procedural import problem_of
from minireason.problems.scratch import Scratch


def options(text: str) -> list[str]:
    listed = text.split("\n")[1].split("  ")
    assert [o[:3] for o in listed] == [f"{letter}) " for letter in LETTERS]
    return [o[3:] for o in listed]


def test_options_are_four_different_ones_and_the_letter_marks_the_answer() -> None:
    for family in FAMILIES.values():
        for level in family.levels:
            for seed in range(5):
                problem = family.sample(Random(seed), level)
                choice = as_choice(problem, seed)
                found = options(choice.text)
                assert len(set(found)) == 4
                assert found[LETTERS.index(choice.answer)] == problem.answer
                assert choice.identity == problem.identity
                assert choice.answer_kind == "choice"


def test_letters_are_uniform() -> None:
    problem = FAMILIES["chain_sum"].sample(Random(0), "high")
    letters = Counter(as_choice(problem, seed).answer for seed in range(400))
    assert all(70 <= letters[letter] <= 130 for letter in LETTERS)


def test_solution_works_the_problem_and_then_names_the_option() -> None:
    problem = FAMILIES["chain_sum"].sample(Random(0), "middle")
    choice = as_choice(problem, 3)
    scratch = Scratch(Random(0), "terse")
    assert choice.work(scratch) == choice.answer
    listed = ", ".join(f"{o} is {a}" for o, a in zip(options(choice.text), LETTERS, strict=True))
    assert scratch.lines[-2:] == [listed, f"{problem.answer} is {choice.answer}"]


def test_choice_is_rebuilt_from_its_id() -> None:
    choice = as_choice(FAMILIES["urn"].sample(Random(0), "high"), 17)
    assert choice.id.endswith(":c17")
    assert problem_of(choice.id) == choice


def test_near_miss_always_differs() -> None:
    for seed in range(200):
        for answer in ("0", "-12", r"\frac{3}{4}", "x^2+5x+6", r"2\sqrt{3}", r"\pm i"):
            assert near_miss(answer, Random(seed)) != answer
