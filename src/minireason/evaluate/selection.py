"""One answer chosen out of the samples of each question: by vote, or by a score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from minireason.errors import DataError
from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.intervals import clustered_interval
from minireason.evaluate.metrics import PassRate
from minireason.evaluate.sample import NO_ROOM, ScoredSample
from minireason.evaluate.scorer import Scorer
from minireason.verify.verifier import Verifier
from minireason.verify.voting import group_answers

Score = Callable[[ScoredSample], float | None]
"""What a sample is worth, as a reward model or a rule says; None where it cannot tell."""


def sum_logprob(sample: ScoredSample) -> float | None:
    """The log-probability of the whole response, in nats: favours short ones."""
    return sample.logprob


def mean_logprob(sample: ScoredSample) -> float | None:
    """The log-probability of a token on average, in nats."""
    if sample.logprob is None:
        return None
    return sample.logprob / max(1, sample.num_tokens)


SCORES: dict[str, Score] = {"mean_logprob": mean_logprob, "sum_logprob": sum_logprob}


def majority(
    samples: Sequence[ScoredSample], kinds: dict[str, str], verifier: Verifier
) -> PassRate:
    """maj@k: the share of questions whose most frequent answer is right (arXiv 2203.11171).

    Equivalent answers vote together; `kinds` gives a question's answer kind. Of answers with
    equally many votes the one given first counts, which is a fair draw, as the samples have no
    order. Responses without an answer do not vote; a question without a vote is not solved.
    """

    def is_solved(group: list[ScoredSample]) -> bool:
        answers = [sample.extracted for sample in group]
        votes = group_answers(verifier, answers, kinds.get(group[0].question_id, ""))
        return bool(votes) and group[votes[0][0]].verdict == "correct"

    return _rate([is_solved(group) for group in _by_question(samples)])


def best_of_n(samples: Sequence[ScoredSample], score: Score) -> PassRate | None:
    """The share of questions whose best-scored sample is right, of equal ones the first.

    None where no sample has a score. Raises DataError where some have and some have not; those that
    were never asked (`NO_ROOM`) need none, and are wrong.
    """
    asked = [sample for sample in samples if sample.finish_reason != NO_ROOM]
    scores = {(s.question_id, s.index): score(s) for s in asked}
    missing = [key for key, value in scores.items() if value is None]
    if len(missing) == len(scores):
        return None
    if missing:
        raise DataError(
            f"sample {missing[0][1]} of question {missing[0][0]!r} has no score and others have; "
            f"sample them all with one backend"
        )

    def worth(sample: ScoredSample) -> float:
        value = scores.get((sample.question_id, sample.index), -math.inf)
        assert value is not None
        return value

    # max takes the first of equal ones
    chosen = [max(group, key=worth) for group in _by_question(samples)]
    return _rate([sample.verdict == "correct" for sample in chosen])


def best_by(scorer: Scorer, samples: Sequence[ScoredSample], asked: Asked) -> PassRate | None:
    """`best_of_n` by a user's scorer, which sees each question as the model did.

    None where the responses were not kept, those of a withheld benchmark.
    """
    if asked.is_withheld and not any(sample.response for sample in samples):
        return None
    texts = {question.id: asked.text(question) for question in asked.questions}
    scores: dict[tuple[str, int], float] = {}
    for group in _by_question([s for s in samples if s.finish_reason != NO_ROOM]):
        given = scorer(texts[group[0].question_id], [sample.response for sample in group])
        scores |= {(s.question_id, s.index): n for s, n in zip(group, given, strict=True)}
    return best_of_n(samples, lambda sample: scores[sample.question_id, sample.index])


def pass_at_k(num_correct: npt.NDArray[np.int64], num_samples: int, k: int) -> PassRate:
    """The chance that one of k samples is right, without bias from n >= k (arXiv 2107.03374).

    1 - C(n - c, k) / C(n, k) of each question with c right samples, as a product of factors below
    1: no large number occurs. The interval is that of n / k independent draws of k. Raises
    DataError for a k that the samples do not allow.
    """
    if not 1 <= k <= num_samples:
        raise DataError(f"pass@{k} needs {k} samples a question, there are {num_samples}")
    factors = 1.0 - k / np.arange(1, num_samples + 1)
    rates = [
        1.0 - float(np.prod(factors[num_samples - c :])) if num_samples - c >= k else 1.0
        for c in num_correct.tolist()
    ]
    return _rate(rates, num_samples // k)


def _rate(shares: Sequence[float | bool], num_draws: int = 1) -> PassRate:
    rates = np.array(shares, dtype=np.float64)
    return PassRate(float(rates.mean()), *clustered_interval(rates, num_draws), len(rates))


def _by_question(samples: Sequence[ScoredSample]) -> list[list[ScoredSample]]:
    ordered = sorted(samples, key=lambda s: (s.question_id, s.index))
    return [list(group) for _, group in groupby(ordered, key=lambda s: s.question_id)]
