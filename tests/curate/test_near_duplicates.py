import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.near_duplicates import NearDuplicateIndex, mark_near_duplicates
from minireason.curate.shingles import fingerprint, jaccard
from minireason.errors import DataError
from minireason.records import Question

STORY = (
    "Ann buys 3 pens for 2 dollars each and 5 books in the shop around the corner. "
    "How much does she pay for the pens?"
)


def found_in(text, other, answers=("6", "6"), **settings):
    index = NearDuplicateIndex(**settings)
    assert index.find_or_add("first", text, answers[0]) is None
    return index.find(other, answers[1])


@pytest.mark.parametrize(
    "other",
    [
        STORY.upper(),
        STORY.replace(" 3 ", r" $3\,$ "),
        STORY.replace("buys", "purchases"),
        STORY.replace("Ann", "Ben").replace(" she ", " he "),
        STORY.replace("around", "just around"),
        STORY.replace(" 3 ", " three "),
        STORY + "\n\nA) 5\nB) 6",
    ],
)
def test_light_edits_are_found(other):
    assert found_in(STORY, other).id == "first"


@pytest.mark.parametrize(
    "other",
    [
        STORY.replace("3", "4"),
        STORY.replace("2", "9").replace("3", "2").replace("9", "3"),
        "Ben sells 3 bikes, then 2 cars, and 5 hats. What has he left?",
        "What is 3 + 2 + 5?",
    ],
)
def test_other_questions_are_not(other):
    assert found_in(STORY, other) is None


def test_same_story_with_another_question_is_told_by_its_answer():
    other = STORY.replace("How much does she pay for the pens", "How many things does she carry")
    assert found_in(STORY, other, ("6", "8")) is None
    assert found_in(STORY, other, ("", "")) is not None


def test_most_similar_is_named_with_its_jaccard_similarity():
    index = NearDuplicateIndex(min_jaccard=0.9)
    far, near = STORY + " Round it up.", STORY + " Why?"
    index.find_or_add("far", far)
    index.find_or_add("near", near)
    expected = jaccard(fingerprint(STORY).shingles, fingerprint(near).shingles)
    assert (index.find(STORY).id, index.find(STORY).jaccard) == ("near", expected)


def test_below_the_similarity_asked_for_is_another_question():
    other = STORY.replace("around the corner", "on the left")
    similarity = jaccard(fingerprint(STORY, "6").shingles, fingerprint(other, "6").shingles)
    assert found_in(STORY, other, min_jaccard=similarity) is not None
    assert found_in(STORY, other, min_jaccard=similarity + 0.01) is None


@pytest.mark.parametrize("min_jaccard", [0.0, -1, 1.1])
def test_similarity_out_of_range_is_refused(min_jaccard):
    with pytest.raises(DataError, match="above 0 and at most 1"):
        NearDuplicateIndex(min_jaccard)


def test_kept_questions_alone_are_compared_with():
    texts = ["a b c d e f", "a b c d e g", "b c d e g h"]  # each near the one before
    questions = [Question(str(i), text, "1", "t") for i, text in enumerate(texts)]
    marks = [m and m.id for _, m in mark_near_duplicates(questions, min_jaccard=0.5)]
    assert marks == [None, "0", None]


def test_text_without_words_is_near_nothing():
    index = NearDuplicateIndex()
    assert index.find_or_add("a", "?!") is index.find_or_add("b", "?!") is None
    assert len(index) == 0


@given(st.lists(st.text("abcde ", min_size=5, max_size=40), max_size=12))
def test_a_found_one_is_really_that_similar(texts):
    index, by_id = NearDuplicateIndex(0.5), {}
    for i, text in enumerate(texts):
        by_id[str(i)] = fingerprint(text).shingles
        if found := index.find_or_add(str(i), text):
            assert found.jaccard == jaccard(by_id[str(i)], by_id[found.id]) >= 0.5


def test_nearly_all_pairs_of_a_given_similarity_are_found():
    # 40 words, the last 12 changed: 26 of 50 triples shared, Jaccard 0.52.
    rng = random.Random(0)
    words = [f"{a}{b}" for a in "bcdfghjklmnp" for b in "aeiou"]
    missed = 0
    for _ in range(300):
        text = rng.choices(words, k=40)
        other = text[:28] + rng.choices(words, k=12)
        missed += found_in(" ".join(text), " ".join(other)) is None
    assert missed <= 3


def test_real_set_has_no_pair_of_equal_words_left(data_folder):
    from minireason.problems.sources import load_questions

    questions = load_questions(str(data_folder / "problems" / "tal_scq5k_en_train.jsonl"))
    kept = [q for q, found in mark_near_duplicates(questions) if found is None]
    prints = [fingerprint(q.text, q.answer) for q in kept]
    assert 0.8 * len(questions) < len(kept) < 0.95 * len(questions)
    assert len(set(prints)) == len([p for p in prints if p.shingles])


def test_memory_grows_by_what_a_question_holds():
    index = NearDuplicateIndex()
    empty = index.num_bytes
    index.find_or_add("ab", "a b c d e")
    # 3 shingles and 12 chain entries of 4 bytes, a key, an end, and the id with its reference.
    assert index.num_bytes - empty == 3 * 4 + 12 * 4 + 4 + 8 + "ab".__sizeof__() + 8
