"""How much of a text repeats itself: loops are how reasoning models fail without stopping.

Words are those of `words`. All measures are linear in the text, but for one sort of its n-grams.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from minireason.curate.words import Hashes, word_hashes

NGRAM = 16
MIN_LOOPS = 3
_BASE = np.uint64(0x5851F42D4C957F2D)  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(int(_BASE), -1, 2**64))


@dataclass(frozen=True, slots=True)
class Repetition:
    """Three measures of one text, each a share from 0 (nothing repeats) to 1.

    `ngrams`: of the n-grams, those that occurred before. `compression`: of the bytes, those that
    zlib's fastest level saves. `loop`: of the words, those covered by one unit that fills the end
    of the text at least three times.
    """

    ngrams: float
    compression: float
    loop: float

    @property
    def score(self) -> float:
        """The largest of the three, with compression counted from the half that any text saves."""
        return max(self.ngrams, self.loop, 2.0 * self.compression - 1.0)


def repetition(text: str, ngram: int = NGRAM) -> Repetition:
    """All measures of a text; all 0 under `ngram` words, where a pattern is no loop yet."""
    words = word_hashes(text)
    if len(words) < ngram:
        return Repetition(0.0, 0.0, 0.0)
    sums = _prefix_sums(words)
    return Repetition(
        ngrams=_repeated_share(sums, ngram),
        compression=compressed_share(text),
        loop=_looping_tail(words, sums, ngram),
    )


def repetition_score(text: str, ngram: int = NGRAM) -> float:
    """`repetition(text, ngram).score`, from 0 (nothing repeats) to 1 (nothing but repetition)."""
    return repetition(text, ngram).score


def compressed_share(text: str) -> float:
    """Share of the UTF-8 bytes that zlib's fastest level saves; 0 where it saves none."""
    data = text.encode("utf-8", "surrogatepass")
    return max(0.0, 1.0 - len(zlib.compress(data, 1)) / len(data)) if data else 0.0


def repeated_share(words: Hashes, ngram: int) -> float:
    """Share of the n-grams that are not the first of their kind."""
    return _repeated_share(_prefix_sums(words), ngram)


def looping_tail(words: Hashes, min_words: int) -> float:
    """Share of the words covered by the longest tail that is one unit, MIN_LOOPS times or more.

    A tail under `min_words` words does not count: answers may end in 0.3333.
    """
    return _looping_tail(words, _prefix_sums(words), min_words)


def _repeated_share(sums: Hashes, ngram: int) -> float:
    num_ngrams = len(sums) - ngram
    if num_ngrams < 1:
        return 0.0
    hashes = np.sort((sums[ngram:] - sums[:-ngram]) * _powers(_INVERSE, num_ngrams))
    return 1.0 - (1 + int(np.count_nonzero(hashes[1:] != hashes[:-1]))) / num_ngrams


def _looping_tail(words: Hashes, sums: Hashes, min_words: int) -> float:
    longest = 0
    for period in _candidate_periods(words, sums):
        # A multiple of a unit that covers this much already cannot cover more (Fine and Wilf).
        if period <= longest / 2:
            continue
        covered = _tail_of_period(words, period)
        if covered >= MIN_LOOPS * period:
            longest = max(longest, covered)
    return longest / len(words) if longest >= min_words else 0.0


def _candidate_periods(words: Hashes, sums: Hashes) -> list[int]:
    """Periods p, ascending, for which the hashes of the last 2p words and of those p earlier agree.

    Every unit that stands MIN_LOOPS = 3 times at the end is among them.
    """
    num_words = len(words)
    periods = np.arange(1, num_words // MIN_LOOPS + 1)
    # The last word must be the one p earlier: most periods need no more work.
    periods = periods[words[num_words - 1 - periods] == words[-1]] if len(periods) else periods
    powers = _powers(_BASE, num_words + 1)
    last = sums[num_words] - sums[num_words - 2 * periods]
    earlier = sums[num_words - periods] - sums[num_words - 3 * periods]
    return periods[last == earlier * powers[periods]].tolist()


def _tail_of_period(words: Hashes, period: int) -> int:
    """How many of the last words have this period, the first unit included."""
    (differ,) = np.nonzero(words[period:] != words[:-period])
    return len(words) - (int(differ[-1]) + 1 if len(differ) else 0)


def _prefix_sums(words: Hashes) -> Hashes:
    """Sums of word times base^place over the first 0, 1, ... words, modulo 2^64."""
    sums = np.zeros(len(words) + 1, dtype=np.uint64)
    np.cumsum(words * _powers(_BASE, len(words)), out=sums[1:])
    return sums


def _powers(base: np.uint64, num: int) -> Hashes:
    """The first `num` powers, a part of a table that is made once a size."""
    return _power_table(base, max(16, num - 1).bit_length())[:num]


@lru_cache(maxsize=64)
def _power_table(base: np.uint64, num_bits: int) -> Hashes:
    powers = np.full(1 << num_bits, base, dtype=np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)
