"""Who answers the questions: one protocol for servers, the embedded teacher and traces."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from minireason.endpoint.usage import Usage
from minireason.errors import DataError, SamplingError
from minireason.records import Question, Rollout
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed

# How often the embedded teacher is right: harder questions need verification and preference more.
ACCURACY_BY_LEVEL: Mapping[str, float] = MappingProxyType(
    {"elementary": 0.9, "middle": 0.85, "high": 0.75, "college": 0.65, "graduate": 0.6}
)
_GSM8K_ANSWER = re.compile(r"####\s*(.*?)\s*\Z", re.DOTALL)


Job = tuple[Question, int]
"""A sample to take: the question and the index of the rollout."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of a job: its rollout, or None and why; and what it used."""

    question_id: str
    index: int
    rollout: Rollout | None
    usage: Usage
    failure: str = ""


class Teacher(Protocol):
    """Anything that answers questions whole: all rollouts of one at a time, and quickly."""

    @property
    def name(self) -> str:
        """What the rollouts carry as their model."""
        ...

    def sample(
        self, questions: Sequence[Question], num_rollouts: int, params: SamplingParams
    ) -> Iterator[list[Rollout]]:
        """The rollouts of one question at a time, ordered by index; questions in any order.

        `params.seed` is the run's seed; rollout `index` of a question has the seed
        `derive_seed(params.seed, question.id, index)`, whatever else is asked for.
        """
        ...


@runtime_checkable
class SampleTeacher(Protocol):
    """A teacher whose samples are dear and may fail one by one, as those of a server."""

    @property
    def name(self) -> str:
        """What the rollouts carry as their model."""
        ...

    def settings(self, params: SamplingParams) -> Mapping[str, Any]:
        """What a sample depends on besides its job: only such as have the same belong together."""
        ...

    def samples(
        self, jobs: Iterable[Job], params: SamplingParams, keep: Callable[[Sample], None]
    ) -> Iterator[Sample]:
        """What became of each job, in any order; seeds as in `Teacher.sample`.

        `keep` gets each sample the moment it is there, maybe in another thread, before it is
        yielded. Raises SamplingError where none can be had any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class EmbeddedTeacher:
    """Worked solutions of the procedural families, some of them flawed; no model, no network.

    `accuracy` is the probability of a correct solution: a table with one number a level, or one
    number for the average over the levels, around which they spread as in ACCURACY_BY_LEVEL.
    """

    accuracy: float | Mapping[str, float] = 0.75
    name: str = "embedded"

    def __post_init__(self) -> None:
        values = self.accuracy.values() if isinstance(self.accuracy, Mapping) else [self.accuracy]
        if not values or not all(0.0 <= value <= 1.0 for value in values):
            raise SamplingError(f"accuracy is {self.accuracy}; it must be in [0, 1]")

    def sample(
        self, questions: Sequence[Question], num_rollouts: int, params: SamplingParams
    ) -> Iterator[list[Rollout]]:
        """Worked solutions in the questions' order, each in a style drawn from its own seed."""
        for question in questions:
            probability = self.probability(question)
            yield [
                self._rollout(question, index, probability, params) for index in range(num_rollouts)
            ]

    def probability(self, question: Question) -> float:
        """The probability that a solution of this question is correct."""
        accuracy = self.accuracy
        table = accuracy if isinstance(accuracy, Mapping) else ACCURACY_BY_LEVEL
        if question.level not in table:
            raise SamplingError(
                f"question {question.id!r} has level {question.level!r}; the embedded teacher "
                f"knows {', '.join(table)}; annotate the questions first"
            )
        value = table[question.level]
        return value if isinstance(accuracy, Mapping) else _shifted(value, accuracy)

    def _rollout(
        self, question: Question, index: int, probability: float, params: SamplingParams
    ) -> Rollout:
        from minireason.problems.procedural import worked_solution

        seed = derive_seed(params.seed, question.id, index)
        rng = random.Random(seed)
        response = worked_solution(question.id, rng, is_correct=rng.random() < probability)
        return Rollout(
            question_id=question.id,
            index=index,
            response=response,
            model=self.name,
            finish_reason="stop",
            temperature=params.temperature,
            top_p=params.top_p,
            seed=seed,
        )


def _shifted(value: float, mean: float) -> float:
    """A level's accuracy when the average is `mean`: scales success below it, failure above."""
    usual = fmean(ACCURACY_BY_LEVEL.values())
    if mean <= usual:
        return value * mean / usual
    return 1.0 - (1.0 - value) * (1.0 - mean) / (1.0 - usual)


@dataclass(slots=True)
class TraceTeacher:
    """The solutions that came with the questions, each the only rollout of its question.

    A question without one is a DataError, or with `allow_missing` left out and counted in
    `num_missing`. GSM8K's last line `#### 72` becomes a boxed answer, as every other source has.
    """

    allow_missing: bool = False
    name: str = "trace"
    num_missing: int = field(default=0, init=False)

    def sample(
        self, questions: Sequence[Question], num_rollouts: int, params: SamplingParams
    ) -> Iterator[list[Rollout]]:
        """One rollout (index 0) a question; the number and the sampling settings do not matter."""
        for question in questions:
            if question.solution.strip():
                response = _GSM8K_ANSWER.sub(_boxed, question.solution.strip())
                yield [Rollout(question.id, 0, response, self.name, "stop")]
            elif self.allow_missing:
                self.num_missing += 1
            else:
                raise DataError(
                    f"question {question.id!r} has no solution to use as a trace; give one, "
                    f"sample it from a teacher, or allow missing ones"
                )


def _boxed(match: re.Match[str]) -> str:
    return f"The answer is \\boxed{{{match[1]}}}."
