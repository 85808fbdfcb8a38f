import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.repetition import _prefix_matches, looping_tail, repetition_score

PROSE = (
    "We count the apples first. There are twelve in the basket and seven on the table, so the sum "
    "is nineteen. Half of them were sold on Monday for two dollars each, which gives the price."
)


def test_prose_does_not_repeat():
    assert repetition_score(PROSE) == 0.0


@pytest.mark.parametrize("unit", ["Wait, let me check again. ", "3", "So x = 5.\n", "no "])
def test_loop_after_prose_is_seen_whatever_its_unit(unit):
    assert repetition_score(PROSE + " " + unit * 300) > 0.75


def test_loop_that_ends_in_an_answer_is_seen_by_its_ngrams():
    assert repetition_score(PROSE + "Let me check that once more. " * 60 + "The answer is 7.") > 0.7


def test_final_answer_with_repeating_digits_is_no_loop():
    assert repetition_score(PROSE + " The answer is 0.333333") == 0.0


def test_looping_tail_is_the_share_of_words_covered():
    words = ["a", "b", "c", "x", "y", "x", "y", "x", "y"]
    assert looping_tail(words, min_words=4) == pytest.approx(6 / 9)
    assert looping_tail(words, min_words=7) == 0.0


@given(st.lists(st.sampled_from("ab"), max_size=30))
def test_prefix_matches_equal_the_slow_obvious_version(words):
    def slow(i):
        n = 0
        while i + n < len(words) and words[n] == words[i + n]:
            n += 1
        return n

    assert _prefix_matches(words)[1:] == [slow(i) for i in range(1, len(words))]


@given(st.text())
def test_score_of_any_text_is_a_share(text):
    assert 0.0 <= repetition_score(text) <= 1.0


def test_real_correct_responses_are_kept_and_looping_cut_offs_found(data_folder):
    with gzip.open(data_folder / "rollouts" / "skythought.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines][::20]
    good = [r for r in rows if r["label"] is True and r["has_end"]]
    cut = [r for r in rows if not r["has_end"]]
    assert good and not [r["id"] for r in good if repetition_score(r["response"]) > 0.5]
    assert sum(repetition_score(r["response"]) > 0.5 for r in cut) >= 0.05 * len(cut)
