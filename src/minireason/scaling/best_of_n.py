"""Best of n: the sample with the highest score, by log-probabilities or a user's own scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minireason.errors import SamplingError
from minireason.evaluate.scorer import open_scorer
from minireason.inference.backend import Response
from minireason.scaling.method import Rounds, Task
from minireason.scaling.subsets import averaged

Score = Callable[[str, Sequence[Response]], Sequence[float]]
"""A number for each response to the question; the higher, the better."""


@dataclass(frozen=True)
class BestOfN:
    """The response of the highest score, of equal ones the earliest.

    All sizes share the `num_samples` samples of a question.
    """

    num_samples: int
    score: Score

    def solve(self, task: Task, size: int) -> Rounds:
        """The samples at once, then the best of every subset of `size`."""
        responses = yield [task.sample(index) for index in range(self.num_samples)]
        scores = self.score(task.messages[-1]["content"], responses)
        return averaged(
            responses, size, task.params.seed, lambda some: max(some, key=scores.__getitem__)
        )


def mean_logprob(_question: str, responses: Sequence[Response]) -> list[float]:
    """The mean log-probability of a token; long and short responses compete."""
    pairs = zip(sum_logprob("", responses), responses, strict=True)
    return [total / max(1, response.num_tokens) for total, response in pairs]


def sum_logprob(_question: str, responses: Sequence[Response]) -> list[float]:
    """The log-probability of the whole response, which favours short ones.

    Raises SamplingError where the backend gives none.
    """
    found = [response.logprob for response in responses if response.logprob is not None]
    if len(found) < len(responses):
        raise SamplingError(
            "the server gives no log-probabilities, which best_of_n needs; leave it out, or give "
            "a scorer of your own with --score module:function"
        )
    return found


SCORES: dict[str, Score] = {"mean": mean_logprob, "sum": sum_logprob}


def open_score(name: str) -> Score:
    """A score by its name in SCORES, or the user's own (`evaluate/scorer.py`).

    Raises SamplingError for what cannot be loaded.
    """
    if name in SCORES:
        return SCORES[name]
    if ":" not in name:
        raise SamplingError(
            f"the score is {name!r}; it is {', '.join(SCORES)}, or your own as module:function or "
            "path/file.py:function"
        )
    scorer = open_scorer(name)
    return lambda question, responses: scorer(question, [one.text for one in responses])
