"""Curate: from verified rollouts to the sets that stages 1 and 2 imitate.

Mid-training takes every correct rollout; SFT a compact, hard and diverse part of them. Preference
pairs and RL prompts are made where their stage begins, since they may need the student.

1. Shard by shard: memory does not grow with the rollouts, and an interrupted run goes on.
2. What SFT takes is chosen over the annotations of all shards, then copied from stage 1's shards.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from minireason.atomic import whole_file
from minireason.curate.midtrain import MidtrainSelection, midtrain_ledger
from minireason.curate.sft import SftSelection, select_sft
from minireason.curate.shards import ShardRules, annotate_shards
from minireason.records import Annotation, Question, iter_records, parquet_files
from minireason.seeding import derive_seed
from minireason.shards import shard_jobs
from minireason.step import Counts, StepContext


def curate(step: StepContext) -> Counts:
    """Write shards of `annotations`, and of `midtrain` and `sft` (Example records)."""
    for name in ("annotations", "midtrain", "sft"):
        (step.folder / name).mkdir(exist_ok=True)
    _annotate(step)
    account = midtrain_ledger(iter_records(step.folder / "annotations", Annotation))
    account.close(account.num_out, "mid-training examples")
    settings = step.recipe.curate
    selection = SftSelection(
        size=settings.sft_size,
        tokens=settings.sft_tokens,
        per_question=settings.sft_per_question,
        min_quality=settings.sft_min_quality,
        seed=derive_seed(step.recipe.run.seed, "curate"),
    )
    annotations = iter_records(step.folder / "annotations", Annotation)
    is_taken, sft_account = select_sft(annotations, selection)
    _copy_taken(step.folder, is_taken)
    return {**account.as_dict(), **sft_account.as_dict("sft ")}


def _annotate(step: StepContext) -> None:
    """Annotations and stage 1's examples for every shard of rollouts that has none yet."""
    settings = step.recipe.curate
    rules = ShardRules(
        MidtrainSelection(settings.max_repetition, settings.max_foreign),
        step.recipe.model.system_prompt,
        step.recipe.model.base,
        verdicts=step.inputs["verify"],
        midtrain=step.folder / "midtrain",
        annotations=step.folder / "annotations",
    )
    shards = parquet_files(step.inputs["rollout"])
    done = [(rules.annotations / shard.name).is_file() for shard in shards]
    jobs = shard_jobs(iter_records(step.inputs["questions"], Question), shards, done)
    num_workers = min(step.recipe.run.threads, done.count(False))
    with step.progress.track("curate") as advance:
        advance(sum(done), len(shards), "shards")
        for number in annotate_shards(jobs, rules, num_workers):
            advance(sum(done) + number, len(shards), "shards")


def _copy_taken(folder: Path, is_taken: np.ndarray) -> None:
    """Write the rows of each shard of stage 1 that are taken to the same shard of stage 2."""
    start = 0
    for shard in parquet_files(folder / "midtrain"):
        target = folder / "sft" / shard.name
        examples = pq.read_table(shard)
        stop = start + examples.num_rows
        with whole_file(target) as partial:
            pq.write_table(examples.filter(pa.array(is_taken[start:stop])), partial)
        start = stop
