"""Keep evaluation questions out of the training questions.

Two rules. Exact: the normalised texts are equal. Overlap: the training question contains at
least `min_overlap` of the evaluation question's n-grams of `ngram` words, where numbers and
operators count as words. Generated questions share their wording, so a rule that drops on one
shared n-gram would delete whole families; as a share of the evaluation question, two questions
of one template with different numbers stay apart unless the wording between two numbers is long.
Evaluation questions shorter than `ngram` words are matched exactly only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minireason.curate.deduplicate import normalised, text_key
from minireason.curate.ledger import Ledger
from minireason.errors import DataError
from minireason.records import Question

_WORDS = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?|[-+*/=<>^]")


@dataclass(frozen=True, slots=True)
class Contaminated:
    """A training question that was dropped, the evaluation question it equals, and why."""

    question_id: str
    evaluation_id: str
    reason: str
    overlap: float


def decontaminate(
    questions: Iterable[Question],
    evaluation: Sequence[Question],
    *,
    ngram: int = 8,
    min_overlap: float = 0.8,
) -> tuple[list[Question], list[Contaminated], Ledger]:
    """Training questions that are in no evaluation set, and those dropped with the reason.

    `min_overlap` 0 switches the overlap rule off. Nothing left is a DataError.
    """
    if ngram < 1 or not 0.0 <= min_overlap <= 1.0:
        raise DataError(
            f"ngram is {ngram} and min_overlap {min_overlap}; ngram must be 1 or more, "
            f"min_overlap in [0, 1], where 0 drops exact copies only"
        )
    exact = {text_key(q.text): q.id for q in evaluation}
    index = _NgramIndex(evaluation if min_overlap else (), ngram)
    kept: list[Question] = []
    dropped: list[Contaminated] = []
    ledger = Ledger(0)
    for question in questions:
        ledger.num_in += 1
        evaluation_id, overlap = exact.get(text_key(question.text)), 1.0
        reason = "equals an evaluation question"
        if evaluation_id is None:
            evaluation_id, overlap = index.nearest(question.text)
            reason = "overlaps an evaluation question"
        if evaluation_id is None or overlap < min_overlap:
            kept.append(question)
            continue
        ledger.drop(reason)
        dropped.append(Contaminated(question.id, evaluation_id, reason, overlap))
    ledger.close(len(kept), "training questions")
    return kept, dropped, ledger


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
