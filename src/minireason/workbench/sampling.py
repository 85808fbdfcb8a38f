"""Rollouts of the model that is being trained, and their verdicts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from minireason.records import Question, Rollout, Verdict, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.step import StepContext
from minireason.verify.rollouts import verify_rollouts
from minireason.verify.verifier import open_verifier


def seeded_part(questions: Iterable[Question], count: int, seed: int) -> list[Question]:
    """`count` of the questions at most, drawn from the seed and in the order drawn."""
    return heapq.nsmallest(count, questions, key=lambda q: derive_seed(seed, q.id))


def judged_rollouts(
    step: StepContext,
    teacher: PolicyTeacher,
    questions: Sequence[Question],
    num_rollouts: int,
    params: SamplingParams,
    part: str = "",
) -> tuple[list[Rollout], list[Verdict]]:
    """The policy's rollouts, resumable in a `part` of `folder/rollouts`, and their verdicts."""
    folder = step.folder / "rollouts" / part
    with step.progress.track(f"{step.folder.name}: rollouts") as advance:
        generate_rollouts(
            teacher,
            questions,
            num_rollouts,
            params,
            folder,
            shard_size=teacher.questions_per_call,
            on_progress=lambda done, total, usage: advance(done, total, ""),
        )
    rollouts = read_records(folder, Rollout)
    with open_verifier(**step.recipe.verify.model_dump()) as verifier:
        return rollouts, verify_rollouts(verifier, questions, rollouts)
