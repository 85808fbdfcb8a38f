"""The repetition penalty by hand, against a slow version, and on any text."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minireason.rl.rewards.repetition import frequent_share, repetition

NAMES = " ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(200))
ANY_TEXT = st.text(alphabet=st.characters(), max_size=80)


def slow_share(text):
    """The definition, with lists."""
    words = re.findall(r"\d|[^\W\d]{1,16}|[^\w\s]|_", text)
    ngrams = [tuple(words[i : i + 5]) for i in range(len(words) - 4)]
    counts = Counter(ngrams)
    frequent = [n for n in ngrams if counts[n] > 5]
    if not frequent:
        return 0.0
    return min(1.0, max(len(frequent) / len(ngrams), 5 * max(counts.values()) / len(words)))


@pytest.mark.parametrize(
    ("text", "penalty"),
    [
        ("", 0.0),
        ("one two three four five", 0.0),  # one 5-gram, once: not frequent
        ("a b c d e " * 5, 0.0),  # five times is not more than five
        ("a b c d e " * 6, 1.0),  # abcde six times, 6 * 5 / 30 words
        ("no " * 9, 0.0),  # 5 5-grams
        ("no " * 10, 1.0),
        (NAMES, 0.0),
    ],
)
def test_penalties_counted_by_hand(judged, text, penalty):
    assert repetition(judged(text)) == pytest.approx(-penalty)


def test_a_scattered_phrase_costs_the_share_of_words_it_covers(judged):
    names = NAMES.split()
    text = " ".join(f"so a b c d {' '.join(names[i : i + 10])}" for i in range(0, 60, 10))
    assert len(text.split()) == 90  # 86 5-grams, of which 6 are frequent
    assert repetition(judged(text)) == pytest.approx(-6 * 5 / 90)


def test_a_loop_costs_more_the_longer_it_goes_on(judged):
    unit = NAMES.upper()[:200]  # 50 words
    penalties = [repetition(judged(NAMES + " " + unit * n)) for n in (1, 5, 6, 20, 100)]
    assert penalties[:2] == [0.0, 0.0]
    assert penalties == sorted(penalties, reverse=True) and penalties[-1] < -0.9
    # The unit's 46 5-grams occur 6 times, the 4 across two units 5 times; 496 in all.
    assert penalties[2] == pytest.approx(-6 * 46 / 496)


WORDS = st.lists(st.sampled_from(["a", "b", "it", "7", "+", "é"]), max_size=80)


@given(WORDS, st.integers(1, 12))
def test_it_equals_the_slow_version(words, times):
    text = " ".join(words * times)
    assert frequent_share(text) == pytest.approx(slow_share(text), abs=1e-12)


@given(ANY_TEXT, st.integers(1, 20))
@example("\ud800 " * 20, 1)
@example("\x00" * 40, 1)
def test_any_text_has_a_penalty_from_0_to_minus_1(judged, text, times):
    assert -1.0 <= repetition(judged(text * times)) <= 0.0


@given(ANY_TEXT)
def test_a_text_of_fewer_than_ten_words_is_free(judged, text):
    assert repetition(judged(text[:9])) == 0.0
