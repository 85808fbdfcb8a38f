import subprocess
import sys

import pytest

from minireason.curate.shingles import fingerprint, jaccard, question_words, without_options

STORY = "Ann buys 3 pens for 2 dollars each and 5 books. How much does she pay for the pens?"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("three right-angled pieces of 1,000 $\\text{cm}$", "3 rightangled pieces of 1000 cm"),
        (r"$\dfrac{1}{2} \cdot x$", r"\frac 1 2 * x"),
        ("What's that?", "whats that"),
        ("多少个 3", "多 少 个 3"),
    ],
)
def test_words_are_the_same_in_another_dress(one, other):
    assert question_words(one) == question_words(other)


@pytest.mark.parametrize("other", ["x - y", "x y", "xy", "x + 2"])
def test_a_sign_between_letters_stays(other):
    assert question_words("x + y") != question_words(other)


def test_shingles_are_the_word_triples():
    assert len(fingerprint("one two").shingles) == 1
    assert len(fingerprint("a b c d a b c").shingles) == 4  # abc bcd cda dab
    assert fingerprint("?!").shingles == frozenset()


@pytest.mark.parametrize(
    "other",
    [STORY.replace("3", "4"), STORY.replace("2", "9").replace("3", "2").replace("9", "3")],
)
def test_other_numbers_or_places_of_numbers_leave_nothing_in_common(other):
    assert jaccard(fingerprint(STORY, "6").shingles, fingerprint(other, "6").shingles) == 0.0


def test_another_answer_leaves_nothing_in_common():
    assert not fingerprint(STORY, "6").shingles & fingerprint(STORY, "7").shingles
    assert fingerprint(STORY, "6") == fingerprint(STORY, "6 dollars") == fingerprint(STORY, "$6$")
    assert fingerprint(STORY, r"\frac{1}{2}") == fingerprint(STORY, "1/2")


def test_jaccard_is_shared_over_all():
    # 8 words, so 6 triples; the changed last word is in one: 5 shared of 7.
    one, other = "a b c d e f g h", "a b c d e f g i"
    assert jaccard(fingerprint(one).shingles, fingerprint(other).shingles) == pytest.approx(5 / 7)
    assert jaccard(frozenset(), frozenset()) == 0.0


def test_multiple_choice_is_the_bare_question_with_the_options_text_as_answer():
    choice = f"{STORY}\n\nA) 5\nB) 6\nC) 7"
    assert without_options(choice, "B") == (f"{STORY}\n\n", "6")
    assert fingerprint(choice, "B") == fingerprint(STORY, "6")
    assert fingerprint(f"{STORY}\n(A) 6\n(B) 5", "(A)") == fingerprint(STORY, "6")


def test_where_a_problem_comes_from_is_no_part_of_it():
    assert fingerprint(STORY + " (2017 AMC 8, Question 14)") == fingerprint(STORY)


def test_fingerprints_are_the_same_in_another_process():
    code = (
        "from minireason.curate.shingles import fingerprint as f\n"
        "print(sorted(f('a b 2 é').shingles))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert output.strip() == str(sorted(fingerprint("a b 2 é").shingles))
