"""The folder of a run's rollouts: a Parquet shard for every so many questions, in their order.

A shard appears in one piece. Seeds belong to (run, question, index), so its bytes do not depend on
when the run was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minireason.errors import DataError, RunFolderError, SamplingError
from minireason.records import Question, Rollout, write_records


@dataclass(frozen=True, slots=True)
class Counts:
    """What lies in the folder, and how much of it an earlier run had made."""

    num_questions: int
    num_unanswered: int
    num_rollouts: int
    num_truncated: int
    num_tokens: int
    num_shards: int
    num_resumed_shards: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Shard:
    """The rollouts of these questions, `num_rollouts` each, at `path` when they are all there."""

    path: Path
    questions: Sequence[Question]
    num_rollouts: int

    @property
    def is_written(self) -> bool:
        return self.path.exists()

    @property
    def journal_path(self) -> Path:
        """Where finished samples wait for the others."""
        return self.path.with_suffix(".jsonl")

    def write(self, rollouts: Iterable[Rollout]) -> None:
        """Write the shard: rollouts by the order of their questions, then by index."""
        place = {question.id: n for n, question in enumerate(self.questions)}
        ordered = sorted(rollouts, key=lambda r: (place[r.question_id], r.index))
        write_records(self.path, ordered, Rollout)

    def check(self) -> None:
        """Raise RunFolderError if what is written is not of these questions."""
        table = _columns(self.path, "question_id", "index")
        ids = set(table["question_id"].to_pylist())
        too_many = max(table["index"].to_pylist(), default=0) >= self.num_rollouts
        if too_many or not ids <= {question.id for question in self.questions}:
            raise foreign(self.path)


def plan_shards(
    questions: Sequence[Question], num_rollouts: int, shard_size: int, folder: Path
) -> list[Shard]:
    """`part-00000.parquet`, ... in `folder`, some of which may be written.

    Raises RunFolderError where the folder holds shards of other questions.
    """
    if num_rollouts < 1 or shard_size < 1:
        raise SamplingError(
            f"num_rollouts is {num_rollouts} and shard_size {shard_size}; both must be 1 or more"
        )
    if not questions:
        raise DataError("there is no question to sample from")
    if len({question.id for question in questions}) < len(questions):
        raise DataError("two questions have one id; ids must be unique")
    shards = [
        Shard(
            folder / f"part-{number:05d}.parquet",
            questions[start : start + shard_size],
            num_rollouts,
        )
        for number, start in enumerate(range(0, len(questions), shard_size))
    ]
    known = {path for shard in shards for path in (shard.path, shard.journal_path)}
    for path in {*folder.glob("part-*.parquet"), *folder.glob("part-*.jsonl")} - known:
        raise foreign(path)
    for shard in shards:
        if shard.is_written:
            shard.check()
    return shards


def foreign(path: Path) -> RunFolderError:
    """The error of a file that belongs to another run."""
    return RunFolderError(
        f"{path} was sampled from other questions, or with another shard size or number of "
        f"rollouts; give a new folder, or remove the old rollouts"
    )


def count_shards(shards: Sequence[Shard], num_resumed: int) -> Counts:
    """What lies in the shards, all of which are written."""
    num_questions = sum(len(shard.questions) for shard in shards)
    num_answered = num_rollouts = num_truncated = num_tokens = 0
    for shard in shards:
        table = _columns(shard.path, "question_id", "finish_reason", "num_tokens")
        num_answered += len(table["question_id"].unique())
        num_rollouts += table.num_rows
        num_truncated += pc.sum(pc.equal(table["finish_reason"], "length")).as_py() or 0
        num_tokens += pc.sum(table["num_tokens"]).as_py() or 0
    return Counts(
        num_questions=num_questions,
        num_unanswered=num_questions - num_answered,
        num_rollouts=num_rollouts,
        num_truncated=num_truncated,
        num_tokens=num_tokens,
        num_shards=len(shards),
        num_resumed_shards=num_resumed,
    )


def _columns(path: Path, *names: str) -> pa.Table:
    try:
        return pq.ParquetFile(path).read(columns=list(names))
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk's trouble, not the file's
            raise
        raise DataError(f"{path} is not a readable Parquet file: {error}; remove it") from error
