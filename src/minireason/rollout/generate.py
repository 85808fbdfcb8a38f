"""Sample the rollouts of many questions into Parquet shards, so that a killed run goes on.

All missing shards are sampled together, so that a slow answer in one does not leave the teacher
idle. Of a teacher that answers whole questions, a kill loses the shards that were not complete, one
where it answers in order; of one that answers sample by sample it loses nothing finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minireason.endpoint.usage import Usage
from minireason.errors import SamplingError
from minireason.records import Question, Rollout
from minireason.rollout.journalled import OnProgress, sample_one_by_one
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.shards import Counts, Shard, count_shards, plan_shards
from minireason.rollout.teacher import SampleTeacher, Teacher


def generate_rollouts(
    teacher: Teacher | SampleTeacher,
    questions: Sequence[Question],
    num_rollouts: int,
    params: SamplingParams,
    folder: Path,
    *,
    shard_size: int = 256,
    on_progress: OnProgress = lambda done, total, usage: None,
) -> Counts:
    """Write `part-00000.parquet`, ... of Rollout records into `folder`; skip those that exist.

    Raises RunFolderError where the folder holds what was sampled from other questions, and
    SamplingError where samples failed; those that did not are kept. `on_progress` counts questions,
    or samples of a SampleTeacher.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = plan_shards(questions, num_rollouts, shard_size, folder)
    num_resumed = sum(shard.is_written for shard in shards)
    if isinstance(teacher, SampleTeacher):
        sample_one_by_one(teacher, shards, params, on_progress)
    else:
        _sample_whole_questions(teacher, shards, params, on_progress)
    return count_shards(shards, num_resumed)


def _sample_whole_questions(
    teacher: Teacher, shards: Sequence[Shard], params: SamplingParams, on_progress: OnProgress
) -> None:
    """Sample the missing shards at once; write each when its last question is answered."""
    num_total = sum(len(shard.questions) for shard in shards)
    missing = [shard for shard in shards if not shard.is_written]
    asked = [question for shard in missing for question in shard.questions]
    num_done = num_total - len(asked)
    on_progress(num_done, num_total, Usage())
    if not asked:
        return
    shard_of = {question.id: shard.path for shard in missing for question in shard.questions}
    by_path = {shard.path: shard for shard in missing}
    answered: dict[Path, dict[str, list[Rollout]]] = {shard.path: {} for shard in missing}

    def write(path: Path) -> None:
        by_path[path].write(r for rollouts in answered.pop(path).values() for r in rollouts)

    for rollouts in teacher.sample(asked, missing[0].num_rollouts, params):
        if not rollouts:
            continue
        question_id = rollouts[0].question_id
        path = shard_of.get(question_id)
        if path is None or question_id in answered.get(path, {question_id: []}):
            raise SamplingError(f"{teacher.name} answered {question_id!r} unasked or twice")
        answered[path][question_id] = rollouts
        num_done += 1
        on_progress(num_done, num_total, Usage())
        if len(answered[path]) == len(by_path[path].questions):
            write(path)
    for path in list(answered):  # only where the teacher left questions out
        write(path)
    if num_done < num_total:
        on_progress(num_total, num_total, Usage())
