"""The repetition penalty of Phi-4-reasoning-plus (arXiv 2504.21318, section 4.1): frequent 5-grams.

1. n-grams are of the words of `curate/words.py`, which every tokenizer shares.
2. The paper divides the number of frequent n-grams by that of all; here every occurrence counts, so
   that it is the share of the text that repeats: a loop costs more the longer it goes on.
3. Occurrences overlap, so that the second term may pass 1, where it is cut.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minireason.curate.words import word_hashes
from minireason.rl.rewards.response import JudgedResponse

NGRAM = 5
FREQUENT = 5
"""An n-gram is frequent if it occurs more often than this."""
_PLACES = np.power(np.uint64(0x9E3779B97F4A7C15), np.arange(NGRAM, dtype=np.uint64))


def repetition(response: JudgedResponse) -> float:
    """From 0, where no n-gram is frequent, down to -1."""
    share = frequent_share(response.text)
    return -share if share else 0.0  # never -0.0, which records would show


def frequent_share(text: str) -> float:
    """The larger of two shares, at most 1; 0 where no n-gram is frequent.

    Of the n-grams, those that are frequent; of the words, those that the most frequent n-gram
    would cover, its occurrences laid side by side.
    """
    words = word_hashes(text)
    if len(words) < NGRAM:
        return 0.0
    ngrams = sliding_window_view(words, NGRAM) @ _PLACES
    _, counts = np.unique(ngrams, return_counts=True)
    frequent = counts[counts > FREQUENT]
    if not len(frequent):
        return 0.0
    covered = NGRAM * int(frequent.max()) / len(words)
    return min(1.0, max(int(frequent.sum()) / len(ngrams), covered))
