"""Keep evaluation questions out of the training questions.

Three rules. Exact: the normalised texts are equal. Overlap: the training question contains at
least `min_overlap` of the evaluation question's n-grams of `ngram` words, where numbers and
operators count as words. Near: the same numbers and the same answer in nearly the same words, by
the word triples of `shingles`; this one also finds evaluation questions shorter than an n-gram.

Generated questions share their wording, so a rule that drops on one shared n-gram would delete
whole families; as a share of the evaluation question, two questions of one template with different
numbers stay apart unless the wording between two numbers is long.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from minireason.curate.deduplicate import normalised, text_key
from minireason.curate.near_duplicates import MIN_JACCARD, NearDuplicateIndex
from minireason.errors import DataError
from minireason.records import Question

_WORDS = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?|[-+*/=<>^]")


@dataclass(frozen=True, slots=True)
class Contaminated:
    """A training question, the evaluation question it repeats, the rule that says so, how near."""

    question_id: str
    text: str
    evaluation_id: str
    evaluation_text: str
    reason: str
    overlap: float


class ContaminationIndex:
    """The evaluation questions, to be asked about training questions one at a time.

    `min_overlap` 0 keeps all but exact copies; `min_jaccard` 0 switches the near rule off.
    """

    def __init__(
        self,
        evaluation: Sequence[Question],
        *,
        ngram: int = 8,
        min_overlap: float = 0.8,
        min_jaccard: float = MIN_JACCARD,
    ) -> None:
        if ngram < 1 or not 0.0 <= min_overlap <= 1.0 or not 0.0 <= min_jaccard <= 1.0:
            raise DataError(
                f"ngram is {ngram}, min_overlap {min_overlap} and min_jaccard {min_jaccard}; "
                f"ngram must be 1 or more, the others in [0, 1], where 0 switches a rule off"
            )
        self.min_overlap = min_overlap
        self._texts = {q.id: q.text for q in evaluation}
        self._exact = {text_key(q.text): q.id for q in evaluation}
        self._ngrams = _NgramIndex(evaluation if min_overlap else (), ngram)
        self._near: NearDuplicateIndex | None = None
        if min_overlap and min_jaccard:
            self._near = NearDuplicateIndex(min_jaccard)
            for question in evaluation:
                self._near.find_or_add(question.id, question.text, question.answer)

    def find(self, question: Question) -> Contaminated | None:
        """The evaluation question that a training question repeats, by the first rule that says so.

        `overlap` is 1 for an exact copy, the share of n-grams, or the Jaccard similarity.
        """
        exact = self._exact.get(text_key(question.text))
        if exact is not None:
            return self._found(question, exact, "equals an evaluation question", 1.0)
        nearest, overlap = self._ngrams.nearest(question.text)
        if nearest is not None and overlap >= self.min_overlap:
            return self._found(question, nearest, "overlaps an evaluation question", overlap)
        near = self._near.find(question.text, question.answer) if self._near else None
        if near is not None:
            return self._found(question, near.id, "is nearly an evaluation question", near.jaccard)
        return None

    def _found(
        self, question: Question, evaluation_id: str, reason: str, overlap: float
    ) -> Contaminated:
        text = self._texts[evaluation_id]
        return Contaminated(question.id, question.text, evaluation_id, text, reason, overlap)


class _NgramIndex:
    """Which evaluation questions hold an n-gram, and how many distinct ones each has."""

    def __init__(self, evaluation: Sequence[Question], ngram: int) -> None:
        self.ngram = ngram
        self.holders: defaultdict[str, list[int]] = defaultdict(list)
        self.sizes: list[int] = []
        self.ids = [question.id for question in evaluation]
        for position, question in enumerate(evaluation):
            ngrams = _ngrams(question.text, ngram)
            self.sizes.append(len(ngrams))
            for key in ngrams:
                self.holders[key].append(position)

    def nearest(self, text: str) -> tuple[str | None, float]:
        """The evaluation question with the largest share of its n-grams in the text."""
        shared: Counter[int] = Counter()
        for key in _ngrams(text, self.ngram):
            shared.update(self.holders.get(key, ()))
        if not shared:
            return None, 0.0
        overlap, position = max((count / self.sizes[p], -p) for p, count in shared.items())
        return self.ids[-position], overlap


def _ngrams(text: str, ngram: int) -> set[str]:
    words = _WORDS.findall(normalised(text))
    return {" ".join(words[i : i + ngram]) for i in range(len(words) - ngram + 1)}
