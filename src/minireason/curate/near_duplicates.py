"""Near-duplicate questions: those that came before in slightly other words.

MinHash finds candidates (rensa's C-MinHash, 12 hashes, of which one must agree: 0.986 of the pairs
with Jaccard similarity 0.3 are found, 0.9998 of those with 0.5); the shingles themselves then
decide. Numbers and operators, in their order, and the answer must be equal (see `shingles`), which
keeps the candidates few. Memory: about 300 bytes a question kept, its id included, and 50 MB.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from sys import getsizeof

import numpy as np
from rensa import CMinHash

from minireason.curate.shingles import Fingerprint, fingerprint, jaccard
from minireason.errors import DataError
from minireason.records import Question

NUM_HASHES = 12
MIN_JACCARD = 0.3
_SLOTS = 1 << 20  # of each band's table; more questions than slots only make the chains longer
_MAX_CANDIDATES = 200  # of one question, the latest first; bounds the work where none has numbers


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """The earlier question that a question nearly equals, and the similarity of their shingles."""

    id: str
    jaccard: float


class NearDuplicateIndex:
    """The questions kept so far, to be asked for near-duplicates one question at a time.

    The same questions in the same order give the same result on every machine.
    """

    def __init__(self, min_jaccard: float = MIN_JACCARD, seed: int = 0) -> None:
        if not 0.0 < min_jaccard <= 1.0:
            raise DataError(
                f"min_jaccard is {min_jaccard}; it must be above 0 and at most 1, where 1 asks "
                f"for the same word triples"
            )
        self.min_jaccard = min_jaccard
        self.seed = seed
        self._ids: list[str] = []
        self._keys = array("I")
        self._shingles = array("I")
        self._ends = array("Q", [0])
        # For each band and slot the last question there, plus one; and for each question and band
        # the one before it in the slot. Zeros take no memory before they are written.
        self._last = np.zeros(NUM_HASHES * _SLOTS, dtype=np.uint32).data
        self._previous = array("I")

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def num_bytes(self) -> int:
        """Memory held, in bytes: tables, shingles and ids."""
        arrays = (self._keys, self._shingles, self._ends, self._previous)
        ids = sum(getsizeof(id) + 8 for id in self._ids)
        return self._last.nbytes + sum(len(a) * a.itemsize for a in arrays) + ids

    def find(self, text: str, answer: str = "") -> NearDuplicate | None:
        """The most similar question added so far, the earliest of equals; None if none is near.

        An empty answer equals only an empty answer, so give answers to all questions or to none.
        """
        found = fingerprint(text, answer)
        return self._nearest(found, self._slots(found)) if found.shingles else None

    def find_or_add(self, id: str, text: str, answer: str = "") -> NearDuplicate | None:
        """What `find` finds; a question without a near-duplicate is added under `id`."""
        found = fingerprint(text, answer)
        if not found.shingles:
            return None
        slots = self._slots(found)
        duplicate = self._nearest(found, slots)
        if duplicate is None:
            self._add(id, found, slots)
        return duplicate

    def _slots(self, found: Fingerprint) -> list[int]:
        (row,) = CMinHash.digests64_from_token_hash_sets(
            [list(found.shingles)], NUM_HASHES, self.seed
        )
        return [band * _SLOTS + value % _SLOTS for band, value in enumerate(row)]

    def _nearest(self, found: Fingerprint, slots: list[int]) -> NearDuplicate | None:
        best, best_position = 0.0, -1
        for position in sorted(self._candidates(found.key, slots)):
            earlier = self._shingles[self._ends[position] : self._ends[position + 1]]
            similarity = jaccard(found.shingles, frozenset(earlier))
            if similarity > best:
                best, best_position = similarity, position
        if best < self.min_jaccard:
            return None
        return NearDuplicate(self._ids[best_position], best)

    def _candidates(self, key: int, slots: list[int]) -> set[int]:
        candidates: set[int] = set()
        for band, slot in enumerate(slots):
            entry = self._last[slot]
            while entry and len(candidates) < _MAX_CANDIDATES:
                position = entry - 1
                if self._keys[position] == key:
                    candidates.add(position)
                entry = self._previous[position * NUM_HASHES + band]
        return candidates

    def _add(self, id: str, found: Fingerprint, slots: list[int]) -> None:
        self._ids.append(id)
        self._keys.append(found.key)
        self._shingles.extend(found.shingles)
        self._ends.append(len(self._shingles))
        for slot in slots:
            self._previous.append(self._last[slot])
            self._last[slot] = len(self._ids)


def mark_near_duplicates(
    questions: Iterable[Question], min_jaccard: float = MIN_JACCARD, seed: int = 0
) -> Iterator[tuple[Question, NearDuplicate | None]]:
    """Each question with the earlier kept one that it nearly equals, or None: it is kept."""
    index = NearDuplicateIndex(min_jaccard, seed)
    for question in questions:
        yield question, index.find_or_add(question.id, question.text, question.answer)
