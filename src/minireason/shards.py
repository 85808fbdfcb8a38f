"""Shards of rollouts with the questions they answer, the questions read once and in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from minireason.errors import DataError
from minireason.records import Question


@dataclass(frozen=True, slots=True)
class ShardJob:
    """A shard of rollouts with the questions it answers."""

    rollouts: Path
    questions: list[Question]


def shard_jobs(
    questions: Iterable[Question], shards: Sequence[Path], done: Sequence[bool]
) -> Iterator[ShardJob]:
    """The jobs that are left, in order; the questions of shards that are done are passed over."""
    coming = iter(questions)
    for shard, is_done in zip(shards, done, strict=True):
        ids = pc.unique(pq.read_table(shard, columns=["question_id"])["question_id"]).to_pylist()
        taken = [question_of(coming, question_id, f"a rollout of {shard}") for question_id in ids]
        if not is_done:
            yield ShardJob(shard, taken)


def question_of(coming: Iterator[Question], question_id: str, who: str) -> Question:
    """The question with this id; those before it are taken from the iterator too.

    Raises DataError, beginning with `who` answers it, where it does not come.
    """
    question = next((q for q in coming if q.id == question_id), None)
    if question is None:
        raise DataError(
            f"{who} answers {question_id!r}, which is not among the questions, or stands out of "
            f"their order; rollouts must follow the questions' order"
        )
    return question
