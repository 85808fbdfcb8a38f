"""Verify: a verdict with its evidence for every rollout, by rules and, where one is set, by a judge
for what the rules reject or cannot read (paper: a math tool first, then a language model)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

from minireason.conventions import Conventions
from minireason.journal import Journal
from minireason.recipe import Recipe
from minireason.records import (
    Question,
    Rollout,
    Verdict,
    parquet_files,
    read_records,
    write_records,
)
from minireason.step import Counts, StepContext
from minireason.verify.judge import Judge, open_judge
from minireason.verify.recheck import count_calls, recheck
from minireason.verify.rollouts import rules_alone, verify_rollouts
from minireason.verify.verifier import Verifier


def verify(step: StepContext) -> Counts:
    """Write one shard of verdicts for every shard of rollouts; finished shards are kept."""
    settings = step.recipe.verify
    questions = read_records(step.inputs["questions"], Question)
    shards = parquet_files(step.inputs["rollout"])
    judging = judge(step.recipe)
    counts: Counter[str] = Counter()
    with (
        Verifier(
            settings.timeout_s,
            settings.memory_mb,
            settings.workers,
            Conventions.from_settings(settings.conventions),
        ) as verifier,
        step.progress.track("verify") as advance,
    ):
        for number, shard in enumerate(shards):
            target = step.folder / shard.name
            log = target.with_suffix(".judge.jsonl")
            if not target.is_file():
                again = partial(recheck, judging, log=log) if judging else rules_alone
                rollouts = read_records(shard, Rollout)
                verdicts = verify_rollouts(verifier, questions, rollouts, again)
                write_records(target, verdicts, Verdict)
            for verdict in read_records(target, Verdict):
                counts["out"] += 1
                counts[verdict.verdict] += 1
                counts[f"by {verdict.method}"] += 1
            if judging:
                counts += count_calls(Journal(log, judging.settings()).entries())
            advance(number + 1, len(shards), "")
    return {"in": counts["out"], **counts}


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
