"""Sample the rollouts of many questions into Parquet shards, so that a killed run goes on.

A shard holds the rollouts of `shard_size` questions in their order and appears in one piece. All
missing shards are sampled together, so that a slow answer in one does not leave the teacher idle:
what a kill loses are the shards that were not complete, one where the teacher answers in order.
Seeds belong to (run, question, index), so the bytes do not depend on when the run was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from minireason.errors import DataError, RunFolderError, SamplingError
from minireason.records import Question, Rollout, write_records
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import Teacher

OnProgress = Callable[[int, int], None]


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


def generate_rollouts(
    teacher: Teacher,
    questions: Sequence[Question],
    num_rollouts: int,
    params: SamplingParams,
    folder: Path,
    *,
    shard_size: int = 256,
    on_progress: OnProgress | None = None,
) -> Counts:
    """Write `part-00000.parquet`, ... of Rollout records into `folder`; skip those that exist.

    `on_progress` gets the number of questions done and their total. Raises RunFolderError where
    the folder holds shards of other questions.
    """
    shards = _shards(questions, num_rollouts, shard_size)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"part-{number:05d}.parquet" for number in range(len(shards))]
    is_done = [path.exists() for path in paths]
    for path in set(folder.glob("part-*.parquet")) - set(paths):
        raise _foreign(path)
    for shard, path in zip(shards, paths, strict=True):
        if path.exists():
            _check_shard(path, shard, num_rollouts)
    missing = [n for n, done in enumerate(is_done) if not done]
    num_done = len(questions) - sum(len(shards[n]) for n in missing)
    progress = _Progress(num_done, len(questions), on_progress)
    _sample_shards(teacher, {paths[n]: shards[n] for n in missing}, num_rollouts, params, progress)
    return _counts(paths, len(questions), num_resumed=sum(is_done))


def _shards(
    questions: Sequence[Question], num_rollouts: int, shard_size: int
) -> list[Sequence[Question]]:
    if num_rollouts < 1 or shard_size < 1:
        raise SamplingError(
            f"num_rollouts is {num_rollouts} and shard_size {shard_size}; both must be 1 or more"
        )
    if not questions:
        raise DataError("there is no question to sample from")
    if len({question.id for question in questions}) < len(questions):
        raise DataError("two questions have one id; ids must be unique")
    return [questions[i : i + shard_size] for i in range(0, len(questions), shard_size)]


class _Progress:
    """Counts finished questions and tells the caller."""

    def __init__(self, num_done: int, num_total: int, tell: OnProgress | None) -> None:
        self.num_done, self.num_total, self.tell = num_done, num_total, tell
        self.advance(0)

    def advance(self, num_questions: int = 1) -> None:
        self.num_done += num_questions
        if self.tell:
            self.tell(self.num_done, self.num_total)


def _sample_shards(
    teacher: Teacher,
    shards: dict[Path, Sequence[Question]],
    num_rollouts: int,
    params: SamplingParams,
    progress: _Progress,
) -> None:
    """Sample all these shards at once; write each as soon as its last question is answered."""
    shard_of = {question.id: path for path, shard in shards.items() for question in shard}
    answered: dict[Path, dict[str, list[Rollout]]] = {path: {} for path in shards}
    asked = [question for shard in shards.values() for question in shard]
    if not asked:
        return
    for rollouts in teacher.sample(asked, num_rollouts, params):
        if not rollouts:
            continue
        question_id = rollouts[0].question_id
        path = shard_of.get(question_id)
        if path is None or question_id in answered.get(path, {question_id: []}):
            raise SamplingError(f"{teacher.name} answered {question_id!r} unasked or twice")
        answered[path][question_id] = rollouts
        progress.advance()
        if len(answered[path]) == len(shards[path]):
            _write_shard(path, shards[path], answered.pop(path))
    for path, found in answered.items():  # only where the teacher left questions out
        progress.advance(len(shards[path]) - len(found))
        _write_shard(path, shards[path], found)


def _write_shard(path: Path, shard: Sequence[Question], found: dict[str, list[Rollout]]) -> None:
    ordered = [rollout for question in shard for rollout in found.get(question.id, ())]
    write_records(path, ordered, Rollout)


def _check_shard(path: Path, shard: Sequence[Question], num_rollouts: int) -> None:
    table = _columns(path, "question_id", "index")
    ids = set(table["question_id"].to_pylist())
    too_many = max(table["index"].to_pylist(), default=0) >= num_rollouts
    if too_many or not ids <= {question.id for question in shard}:
        raise _foreign(path)


def _columns(path: Path, *names: str) -> pa.Table:
    try:
        return pq.ParquetFile(path).read(columns=list(names))
    except (pa.ArrowInvalid, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the disk's trouble, not the file's
            raise
        raise DataError(f"{path} is not a readable Parquet file: {error}; remove it") from error


def _foreign(path: Path) -> RunFolderError:
    return RunFolderError(
        f"{path} was sampled from other questions, or with another shard size or number of "
        f"rollouts; give a new folder, or remove the old rollouts"
    )


def _counts(paths: Sequence[Path], num_questions: int, num_resumed: int) -> Counts:
    num_answered = num_rollouts = num_truncated = num_tokens = 0
    for path in paths:
        table = _columns(path, "question_id", "finish_reason", "num_tokens")
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
        num_shards=len(paths),
        num_resumed_shards=num_resumed,
    )
