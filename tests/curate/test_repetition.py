import gzip
import json
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.repetition import (
    Repetition,
    compressed_share,
    looping_tail,
    repeated_share,
    repetition,
    repetition_score,
)
from minireason.curate.words import word_hashes

PROSE = (
    "We count the apples first. There are twelve in the basket and seven on the table, so the sum "
    "is nineteen. Half of them were sold on Monday for two dollars each, which gives the price."
)
PIECES = st.lists(st.sampled_from(["a", "b", "ab", "x1"]), min_size=1, max_size=6).map(" ".join)


def words_of(text):
    return re.findall(r"\d|[^\W\d]{1,16}|[^\w\s]", text)


def slow_repeated_share(words, ngram):
    ngrams = [tuple(words[i : i + ngram]) for i in range(len(words) - ngram + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def slow_looping_tail(words, min_words):
    longest = 0
    for period in range(1, len(words) // 3 + 1):
        covered = period
        while covered < len(words) and words[-1 - covered] == words[-1 - covered + period]:
            covered += 1
        if covered >= 3 * period:
            longest = max(longest, covered)
    return longest / len(words) if longest >= min_words else 0.0


def test_prose_does_not_repeat():
    assert repetition_score(PROSE) < 0.1
    assert (repetition(PROSE).ngrams, repetition(PROSE).loop) == (0.0, 0.0)


@pytest.mark.parametrize("unit", ["Wait, let me check again. ", "3", "So x = 5.\n", "no ", "对 "])
def test_loop_after_prose_is_seen_whatever_its_unit(unit):
    assert repetition_score(PROSE + " " + unit * 300) > 0.75


def test_loop_that_ends_in_an_answer_is_seen_by_its_ngrams():
    text = PROSE + "Let me check that once more. " * 60 + "The answer is 7."
    assert repetition(text).loop == 0.0
    assert repetition(text).ngrams > 0.7


def test_circle_with_other_numbers_each_time_is_seen_by_its_compression():
    text = "".join(f"We try {n}, which gives {n * n}, not a solution. " for n in range(100, 250))
    assert repetition(text).ngrams == 0.0
    assert repetition(text).score == 2 * repetition(text).compression - 1 > 0.5


def test_final_answer_with_repeating_digits_is_no_loop():
    assert repetition(PROSE + " The answer is 0.333333").loop == 0.0


def test_score_is_the_largest_of_the_three():
    assert Repetition(0.2, 0.4, 0.1).score == 0.2
    assert Repetition(0.2, 0.4, 0.3).score == 0.3
    assert Repetition(0.2, 0.9, 0.3).score == pytest.approx(0.8)


def test_text_of_few_words_has_no_measure():
    assert repetition("no " * 15) == Repetition(0.0, 0.0, 0.0)
    assert repetition("no " * 16).loop == 1.0


def test_looping_tail_is_the_share_of_words_covered():
    words = word_hashes("a b c x y x y x y")
    assert looping_tail(words, min_words=4) == pytest.approx(6 / 9)
    assert looping_tail(words, min_words=7) == 0.0


@given(st.text("ab1. ", max_size=40), PIECES, st.integers(0, 9), st.integers(1, 20))
def test_measures_equal_the_slow_obvious_versions(start, unit, times, ngram):
    text = start + (unit + " ") * times
    words, hashes = words_of(text), word_hashes(text)
    assert repeated_share(hashes, ngram) == pytest.approx(slow_repeated_share(words, ngram))
    assert looping_tail(hashes, ngram) == pytest.approx(slow_looping_tail(words, ngram))


@given(st.text())
def test_compressed_share_is_zlibs(text):
    data = text.encode("utf-8", "surrogatepass")
    assert compressed_share(text) == max(0, 1 - len(zlib.compress(data, 1)) / max(1, len(data)))


@given(st.text())
def test_score_of_any_text_is_a_share(text):
    assert 0.0 <= repetition_score(text) <= 1.0


def test_a_long_text_of_many_periods_is_measured():
    text = ("ab " * 50 + "c ") * 2000
    assert repetition(text).loop == 1.0


def test_real_correct_responses_are_kept_and_looping_cut_offs_found(data_folder):
    with gzip.open(data_folder / "rollouts" / "skythought.jsonl.gz") as lines:
        rows = [json.loads(line) for line in lines][::20]
    good = [r for r in rows if r["label"] is True and r["has_end"]]
    cut = [r for r in rows if not r["has_end"]]
    assert good and not [r["id"] for r in good if repetition_score(r["response"]) > 0.5]
    assert sum(repetition_score(r["response"]) > 0.5 for r in cut) >= 0.05 * len(cut)
