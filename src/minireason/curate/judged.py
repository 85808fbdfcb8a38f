"""Rollouts joined with their questions and verdicts: what every selection starts from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minireason.errors import DataError
from minireason.records import Question, Rollout, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """One rollout with its question and its verdict."""

    question: Question
    rollout: Rollout
    verdict: Verdict

    @property
    def is_correct(self) -> bool:
        return self.verdict.verdict == "correct"

    @property
    def is_truncated(self) -> bool:
        return self.rollout.finish_reason == "length"

    @property
    def length(self) -> int:
        """Response length in tokens, or in characters where the sampler did not count tokens."""
        return self.rollout.num_tokens or len(self.rollout.response)


def join(
    questions: Iterable[Question], rollouts: Iterable[Rollout], verdicts: Iterable[Verdict]
) -> list[list[Judged]]:
    """The judged rollouts of each question, in the questions' order, each list by index.

    A question without rollouts has an empty list. Raises DataError for a rollout that appears
    twice, that has no verdict, or whose question is not given: each would be lost silently.
    """
    verdict_of = {(v.question_id, v.index): v for v in verdicts}
    groups: dict[str, list[Judged]] = {}
    by_id: dict[str, Question] = {}
    for question in questions:
        if question.id in by_id:
            raise DataError(f"question {question.id!r} is given twice; ids must be unique")
        by_id[question.id] = question
        groups[question.id] = []
    seen: set[tuple[str, int]] = set()
    for rollout in rollouts:
        key = (rollout.question_id, rollout.index)
        if rollout.question_id not in by_id:
            raise DataError(f"rollout {key} answers a question that is not among those given")
        if key in seen:
            raise DataError(f"rollout {key} is given twice; indices must be unique in a question")
        if key not in verdict_of:
            raise DataError(f"rollout {key} has no verdict; verify the rollouts first")
        seen.add(key)
        groups[rollout.question_id].append(
            Judged(by_id[rollout.question_id], rollout, verdict_of[key])
        )
    return [sorted(group, key=lambda j: j.rollout.index) for group in groups.values()]


def pass_rate(group: Sequence[Judged]) -> float:
    """Share of the rollouts that are correct; unknown ones count as not correct."""
    return sum(j.is_correct for j in group) / len(group)
