"""Verify: a verdict with its evidence for every rollout."""

from __future__ import annotations

from collections import Counter

from minireason.conventions import Conventions
from minireason.records import (
    Question,
    Rollout,
    Verdict,
    parquet_files,
    read_records,
    write_records,
)
from minireason.step import Counts, StepContext
from minireason.verify.rollouts import verify_rollouts
from minireason.verify.verifier import Verifier


def verify(step: StepContext) -> Counts:
    """Write one shard of verdicts for every shard of rollouts; finished shards are kept."""
    settings = step.recipe.verify
    questions = read_records(step.inputs["questions"], Question)
    shards = parquet_files(step.inputs["rollout"])
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
            if not target.is_file():
                verdicts = verify_rollouts(verifier, questions, read_records(shard, Rollout))
                write_records(target, verdicts, Verdict)
            for verdict in read_records(target, Verdict):
                counts["out"] += 1
                counts[verdict.verdict] += 1
                counts[f"by {verdict.method}"] += 1
            advance(number + 1, len(shards), "")
    return {"in": counts["out"], **counts}
