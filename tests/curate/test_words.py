import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.words import code_points, word_hashes

WORDS = re.compile(r"\d|[^\W\d]{1,16}|[^\w\s]")
TEXTS = st.text(st.sampled_from("ab_é7٣+.中 \n\u2003𝟙\ud800"), max_size=60)


@pytest.mark.parametrize("texts", [TEXTS, st.text(max_size=60), st.text("xy", max_size=50)])
def test_words_are_those_of_the_regular_expression(texts):
    @given(texts)
    def check(text):
        words, hashes = WORDS.findall(text), word_hashes(text).tolist()
        assert len(hashes) == len(words)
        assert len(set(hashes)) == len(set(words)) == len(set(zip(words, hashes, strict=True)))

    check()


def test_a_word_has_the_same_hash_in_every_text():
    [first] = set(word_hashes("loop  loop\n").tolist())
    assert first in word_hashes("α loop.").tolist()
    assert first not in word_hashes("loops Loop lop").tolist()


def test_a_run_of_letters_is_cut_at_16():
    assert len(set(word_hashes("ab" * 8 * 5).tolist())) == 1
    assert len(word_hashes("a" * 33)) == 3


@given(st.text())
def test_code_points_are_the_characters(text):
    assert code_points(text).tolist() == [ord(character) for character in text]
