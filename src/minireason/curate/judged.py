"""Rollouts joined with their questions and verdicts: what every selection starts from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, zip_longest
from pathlib import Path

from minireason.errors import DataError
from minireason.records import Question, Rollout, Verdict, iter_records
from minireason.shards import question_of


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


def judged_groups(
    questions: Iterable[Question], rollouts: Iterable[Rollout], verdicts: Iterable[Verdict]
) -> Iterator[list[Judged]]:
    """The judged rollouts of each question that has any; one question is in memory at a time.

    All three come in the questions' order, as the steps write them, with a verdict a rollout.
    Given an iterator of questions, no more than needed is taken from it, so that the next shard
    of rollouts can go on with the rest. Raises DataError for a rollout that appears twice, that
    has no verdict, or whose question does not come: each would be lost silently.
    """
    coming = iter(questions)
    for question_id, pairs in groupby(_paired(rollouts, verdicts), lambda p: p[0].question_id):
        yield _group(question_of(coming, question_id, "a rollout"), pairs)


def shard_groups(
    questions: Iterable[Question], shard: Path, verdicts: Path
) -> Iterator[list[Judged]]:
    """The judged groups of a shard of rollouts, whose verdicts are in the folder `verdicts`."""
    return judged_groups(
        questions, iter_records(shard, Rollout), iter_records(verdicts / shard.name, Verdict)
    )


def _group(question: Question, pairs: Iterable[tuple[Rollout, Verdict]]) -> list[Judged]:
    group = sorted((Judged(question, *pair) for pair in pairs), key=lambda j: j.rollout.index)
    for first, second in pairwise(group):
        if first.rollout.index == second.rollout.index:
            raise DataError(
                f"rollout {(question.id, first.rollout.index)} is given twice; indices must be "
                f"unique in a question"
            )
    return group


def _paired(
    rollouts: Iterable[Rollout], verdicts: Iterable[Verdict]
) -> Iterator[tuple[Rollout, Verdict]]:
    for rollout, verdict in zip_longest(rollouts, verdicts):
        if rollout is None:
            raise DataError(f"there is a verdict on rollout {_key(verdict)}, which is not there")
        if verdict is None or _key(verdict) != _key(rollout):
            raise DataError(f"rollout {_key(rollout)} has no verdict; verify the rollouts first")
        yield rollout, verdict


def _key(row: Rollout | Verdict) -> tuple[str, int]:
    return row.question_id, row.index


def pass_rate(group: Sequence[Judged]) -> float:
    """Share of the rollouts that are correct; unknown ones count as not correct."""
    return sum(j.is_correct for j in group) / len(group)
