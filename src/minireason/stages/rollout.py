"""Rollouts: existing traces are kept, other questions are answered by a teacher (paper: about 8
responses a question from DeepSeek-R1, temperature 0.6, top-p 0.95)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from minireason.curate.recorded import collect_rollouts
from minireason.endpoint.server import Endpoint
from minireason.endpoint.usage import Usage
from minireason.errors import DataError
from minireason.progress import Advance
from minireason.recipe import Recipe
from minireason.records import Question, iter_records, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.journalled import OnProgress, read_usage
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import EmbeddedTeacher, SampleTeacher, Teacher, TraceTeacher
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
            on_progress=_shown(advance, settings.prices),
        )
    usage = read_usage(step.folder) if isinstance(answering, SampleTeacher) else None
    return {
        "in": counts.num_questions,
        "out": counts.num_rollouts,
        "unanswered": counts.num_unanswered,
        "truncated": counts.num_truncated,
        "tokens": counts.num_tokens,
        **(_used(usage, settings.prices) if usage else {}),
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


def teacher(recipe: Recipe) -> Teacher | SampleTeacher:
    """The teacher the recipe names."""
    settings = recipe.rollout
    if settings.teacher == "embedded":
        return EmbeddedTeacher(accuracy=settings.accuracy)
    if settings.teacher == "traces":
        return TraceTeacher(allow_missing=True)
    endpoint = Endpoint(
        settings.base_url,
        settings.model,
        concurrency=settings.concurrency,
        timeout_s=settings.timeout_s,
    )
    return OpenAITeacher(endpoint, recipe.model.system_prompt)


def _used(usage: Usage, prices: Sequence[float]) -> dict[str, int | float]:
    """Counts of what the server was asked; the cost is in the unit of the prices."""
    counts: dict[str, int | float] = {
        name.replace("_", " "): count for name, count in asdict(usage).items()
    }
    return counts | ({"cost": round(usage.cost(prices), 4)} if prices else {})


def _shown(advance: Advance, prices: Sequence[float]) -> OnProgress:
    """Progress with the tokens a second of this run and the cost of all runs so far."""
    started, before = time.monotonic(), -1

    def show(done: int, total: int, usage: Usage) -> None:
        nonlocal before
        before = usage.completion_tokens if before < 0 else before
        seconds = max(time.monotonic() - started, 1e-3)
        rate = (usage.completion_tokens - before) / seconds
        texts = [f"{rate:,.0f} tokens/s"] if usage.completion_tokens else []
        texts += [f"cost {usage.cost(prices):,.2f}"] if prices and usage.requests else []
        advance(done, total, ", ".join(texts))

    return show
