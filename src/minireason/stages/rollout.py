"""Rollouts: existing traces are kept, other questions are answered by a teacher (paper: about 8
responses a question from DeepSeek-R1, temperature 0.6, top-p 0.95)."""

from __future__ import annotations

from pathlib import Path

from minireason.curate.recorded import collect_rollouts
from minireason.errors import DataError
from minireason.recipe import Recipe
from minireason.records import Question, iter_records, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import EmbeddedTeacher, Teacher, TraceTeacher
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext


def rollout(step: StepContext) -> Counts:
    """Write the teacher's rollouts, a Parquet shard for every `shard_size` questions."""
    settings = step.recipe.rollout
    if settings.teacher == "recorded":
        return recorded(step)
    answering = teacher(step.recipe)
    found = read_records(step.inputs["questions"], Question)
    with step.progress.track("rollouts") as advance:
        counts = generate_rollouts(
            answering,
            found,
            settings.num_rollouts,
            SamplingParams(
                temperature=settings.temperature,
                top_p=settings.top_p,
                max_tokens=settings.max_tokens,
                seed=derive_seed(step.recipe.run.seed, "rollout"),
            ),
            step.folder,
            shard_size=settings.shard_size,
            on_progress=lambda done, total: advance(done, total, ""),
        )
    return {
        "in": counts.num_questions,
        "out": counts.num_rollouts,
        "unanswered": counts.num_unanswered,
        "truncated": counts.num_truncated,
        "tokens": counts.num_tokens,
    }


def recorded(step: StepContext) -> Counts:
    """Write the responses of the recipe's files as rollouts, a shard for `shard_size` questions."""
    settings = step.recipe.rollout
    with step.progress.track("rollouts") as advance:
        counts = collect_rollouts(
            [Path(source).expanduser() for source in settings.sources],
            iter_records(step.inputs["questions"], Question),
            step.folder,
            num_rollouts=settings.num_rollouts,
            shard_size=settings.shard_size,
            on_progress=lambda done, text: advance(done, 0, text),
        )
    if not counts["out"]:
        raise DataError(f"no recorded response answers a question of this run: {dict(counts)}")
    return counts


def teacher(recipe: Recipe) -> Teacher:
    """The teacher the recipe names."""
    settings = recipe.rollout
    if settings.teacher == "embedded":
        return EmbeddedTeacher(accuracy=settings.accuracy)
    if settings.teacher == "traces":
        return TraceTeacher(allow_missing=True)
    return OpenAITeacher(
        settings.base_url,
        settings.model,
        system_prompt=recipe.model.system_prompt,
        concurrency=settings.concurrency,
    )
