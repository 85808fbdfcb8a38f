"""How much of a text repeats itself: loops are how reasoning models fail without stopping."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A digit or a sign is a word, and a run of letters is cut at 16, so that a loop without white
# space is seen as well.
_WORDS = re.compile(r"\d|[^\W\d]{1,16}|[^\w\s]")
MIN_LOOPS = 3


def repetition_score(text: str, ngram: int = 16) -> float:
    """The larger of two shares, 0 (nothing repeats) to 1 (nothing but repetition).

    One is the share of n-grams of `ngram` words that occurred before; the other is the share of
    the text that is one unit repeated at least three times at its end. Texts with fewer than
    `ngram` words, where a pattern is no loop yet, score 0.
    """
    words = _WORDS.findall(text)
    if len(words) < ngram:
        return 0.0
    return max(repeated_share(words, ngram), looping_tail(words, ngram))


def repeated_share(words: Sequence[str], ngram: int) -> float:
    """Share of the n-grams that are not the first of their kind."""
    num_ngrams = len(words) - ngram + 1
    if num_ngrams < 1:
        return 0.0
    distinct = {tuple(words[i : i + ngram]) for i in range(num_ngrams)}
    return 1.0 - len(distinct) / num_ngrams


def looping_tail(words: Sequence[str], min_words: int) -> float:
    """Share of the words covered by the longest tail that is one unit, MIN_LOOPS times or more.

    A tail under `min_words` words does not count: answers may end in 0.3333.
    """
    matches = _prefix_matches(words[::-1])
    longest = 0
    for period in range(1, len(words) // MIN_LOOPS + 1):
        covered = period + matches[period]
        if covered >= MIN_LOOPS * period:
            longest = max(longest, covered)
    return longest / len(words) if longest >= min_words else 0.0


def _prefix_matches(words: Sequence[str]) -> list[int]:
    """For each position, how many words from there on equal those from the start (Z-function)."""
    matches = [0] * len(words)
    left = right = 0
    for i in range(1, len(words)):
        length = min(matches[i - left], right - i) if i < right else 0
        while i + length < len(words) and words[length] == words[i + length]:
            length += 1
        matches[i] = length
        if i + length > right:
            left, right = i, i + length
    return matches
