import dataclasses
import itertools
import math

import numpy as np
import pytest

from minireason.errors import DataError
from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.metrics import Grid, pass_rate
from minireason.evaluate.sample import ScoredSample
from minireason.evaluate.scorer import Scorer
from minireason.evaluate.selection import (
    best_by,
    best_of_n,
    majority,
    mean_logprob,
    pass_at_k,
    sum_logprob,
)
from minireason.records import Question
from minireason.verify import Verifier


@pytest.fixture(scope="module")
def verifier():
    with Verifier() as opened:
        yield opened


def samples(*questions, right="2"):
    """One question for each list of (answer, tokens, log-probability)."""
    return [
        ScoredSample(
            benchmark="b",
            question_id=f"q{q}",
            index=index,
            question="",
            answer=right,
            response="",
            verdict="correct" if answer in (right, f"{right}.0") else "incorrect",
            extracted=answer,
            method="",
            finish_reason="stop",
            num_tokens=num_tokens,
            logprob=logprob,
        )
        for q, rows in enumerate(questions)
        for index, (answer, num_tokens, logprob) in enumerate(rows)
    ]


def votes(*answers):
    return [(answer, 1, 0.0) for answer in answers]


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_pass_at_k_is_the_share_of_draws_of_k_that_hold_a_right_one(n):
    for c, k in itertools.product(range(n + 1), range(1, n + 1)):
        marks = [True] * c + [False] * (n - c)
        draws = [any(draw) for draw in itertools.combinations(marks, k)]
        found = pass_at_k(np.array([c]), n, k).pass_at_1
        assert found == pytest.approx(sum(draws) / len(draws))


def test_pass_at_k_of_many_samples_is_exact():
    n, c, k = 10_000, 3, 5_000
    exact = 1 - math.comb(n - c, k) / math.comb(n, k)
    assert pass_at_k(np.array([c]), n, k).pass_at_1 == pytest.approx(exact, rel=1e-12)


def test_pass_at_k_averages_over_questions_and_needs_k_samples():
    assert pass_at_k(np.array([0, 4]), 4, 2).pass_at_1 == 0.5
    with pytest.raises(DataError, match="pass@5 needs 5 samples a question, there are 4"):
        pass_at_k(np.array([0, 4]), 4, 5)


def test_pass_at_1_has_the_interval_of_the_pass_rate():
    marks = np.array([[1, 0, 0, 1], [1, 1, 0, 1], [0, 0, 0, 0]], dtype=np.bool_)
    whole = pass_rate(Grid(("a", "b", "c"), marks))
    found = pass_at_k(marks.sum(axis=1), 4, 1)
    assert (found.ci_low, found.ci_high) == pytest.approx((whole.ci_low, whole.ci_high))


def test_equivalent_answers_vote_together(verifier):
    rate = majority(samples(votes("3", "2", "2.0", "3", "2")), {}, verifier)
    assert (rate.pass_at_1, rate.num_questions) == (1.0, 1)


def test_of_a_tie_the_first_answer_counts(verifier):
    assert majority(samples(votes("2", "3", "3", "2")), {}, verifier).pass_at_1 == 1.0
    assert majority(samples(votes("3", "2", "2", "3")), {}, verifier).pass_at_1 == 0.0


def test_responses_without_an_answer_do_not_vote(verifier):
    given = samples(votes("", "", "2"), votes("", "", ""))
    assert majority(given, {}, verifier).pass_at_1 == 0.5


def test_the_best_of_n_has_the_highest_score_and_of_equal_ones_is_the_first():
    one = [("2", 10, -3.0), ("3", 2, -1.0)]  # mean -0.3 and -0.5
    tie = [("3", 1, -1.0), ("2", 1, -1.0)]
    assert best_of_n(samples(one), mean_logprob).pass_at_1 == 1.0
    assert best_of_n(samples(one), sum_logprob).pass_at_1 == 0.0
    assert best_of_n(samples(tie), sum_logprob).pass_at_1 == 0.0
    assert best_of_n(samples(one), lambda sample: -sample.num_tokens).pass_at_1 == 0.0


def test_the_best_by_a_scorer_of_ones_own_is_what_it_rates_highest_of_each_question():
    questions = [Question(f"q{n}", f"Question {n}", "2", "test") for n in range(2)]
    asked = Asked("b", questions, 2, "Think. {question}")
    given = samples(votes("2", "3"), votes("3", "2"))
    given = [dataclasses.replace(s, response=s.extracted + "!") for s in given]
    seen = []

    def score(question, responses):
        seen.append((question, responses))
        return [float(text[0]) for text in responses]

    rate = best_by(Scorer("m:f", "", score), given, asked)
    assert rate.pass_at_1 == 0.0, "3 is rated higher than 2"
    assert seen == [("Think. Question 0", ("2!", "3!")), ("Think. Question 1", ("3!", "2!"))]
    withheld = dataclasses.replace(asked, is_withheld=True)
    assert best_by(Scorer("m:f", "", score), samples(votes("2")), withheld) is None


def test_without_scores_there_is_no_best_and_some_missing_are_an_error():
    assert best_of_n(samples([("2", 1, None)]), sum_logprob) is None
    with pytest.raises(DataError, match="sample 1 of question 'q0' has no score"):
        best_of_n(samples([("2", 1, -1.0), ("2", 1, None)]), sum_logprob)
