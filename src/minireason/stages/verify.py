"""Verify: a verdict with its evidence for every rollout, by rules and, where one is set, by a judge
for what the rules reject or cannot read (paper: a math tool first, then a language model)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

from minireason.journal import Journal
from minireason.recipe import Recipe
from minireason.records import (
    Question,
    Rollout,
    Verdict,
    iter_records,
    parquet_files,
    read_records,
    write_records,
)
from minireason.shards import shard_jobs
from minireason.step import Counts, StepContext
from minireason.verify.judge import Judge, open_judge
from minireason.verify.recheck import count_calls, recheck
from minireason.verify.rollouts import rules_alone, verify_rollouts
from minireason.verify.verifier import open_verifier


def verify(step: StepContext) -> Counts:
    """Write one shard of verdicts for every shard of rollouts; finished shards are kept."""
    shards = parquet_files(step.inputs["rollout"])
    done = [(step.folder / shard.name).is_file() for shard in shards]
    jobs = shard_jobs(iter_records(step.inputs["questions"], Question), shards, done)
    judging = judge(step.recipe)
    settings = step.recipe.verify.model_dump()
    with open_verifier(**settings) as verifier, step.progress.track("verify") as advance:
        advance(sum(done), len(shards), "shards")
        for number, job in enumerate(jobs, start=sum(done) + 1):
            target = step.folder / job.rollouts.name
            again = partial(recheck, judging, log=_log(target)) if judging else rules_alone
            rollouts = read_records(job.rollouts, Rollout)
            verdicts = verify_rollouts(verifier, job.questions, rollouts, again)
            write_records(target, verdicts, Verdict)
            advance(number, len(shards), "shards")
    counts: Counter[str] = Counter()
    for shard in shards:
        target = step.folder / shard.name
        for verdict in iter_records(target, Verdict):
            counts["out"] += 1
            counts[verdict.verdict] += 1
            counts[f"by {verdict.method}"] += 1
        if judging:
            counts += count_calls(Journal(_log(target), judging.settings()).entries())
    return {"in": counts["out"], **counts}


def _log(target: Path) -> Path:
    return target.with_suffix(".judge.jsonl")


def judge(recipe: Recipe) -> Judge | None:
    """The judge the recipe names, if it names one."""
    settings, asking = recipe.judge, recipe.rollout
    found = open_judge(
        settings.base_url,
        settings.model,
        concurrency=asking.concurrency,
        timeout_s=asking.timeout_s,
    )
    return replace(found, rechecks=tuple(settings.rechecks)) if found else None
