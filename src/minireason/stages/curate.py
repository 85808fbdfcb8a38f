"""Curate: from verified rollouts to the sets that stages 1 and 2 imitate.

Mid-training takes every correct rollout; SFT a compact, hard and diverse part of them. Preference
pairs and RL prompts are made where their stage begins, since they may need the student.

1. Shard by shard: one shard of rollouts is read at a time and its annotations and examples are
   kept, so that memory does not grow with the rollouts and an interrupted run goes on.
2. What SFT takes is chosen over the annotations of all shards, then copied from stage 1's shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from minireason.curate.judged import Judged, judged_groups
from minireason.curate.midtrain import (
    MidtrainSelection,
    annotate_group,
    midtrain_examples,
    midtrain_ledger,
)
from minireason.curate.sft import SftSelection, select_sft
from minireason.model.tokens import CountTokens, token_counter
from minireason.records import (
    Annotation,
    Example,
    Question,
    Rollout,
    Verdict,
    iter_records,
    parquet_files,
    write_records,
)
from minireason.seeding import derive_seed
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
    selection = MidtrainSelection(settings.max_repetition, settings.max_foreign)
    count_tokens = token_counter(step.recipe.model.base)
    questions = iter_records(step.inputs["questions"], Question)
    shards = parquet_files(step.inputs["rollout"])
    with step.progress.track("curate") as advance:
        for number, shard in enumerate(shards, start=1):
            target = step.folder / "annotations" / shard.name
            if not target.is_file():  # written last: the examples are there too
                rollouts = iter_records(shard, Rollout)
                verdicts = iter_records(step.inputs["verify"] / shard.name, Verdict)
                groups = judged_groups(questions, rollouts, verdicts)
                annotated = list(_annotated(groups, count_tokens, selection))
                examples = (
                    example
                    for group, annotations in annotated
                    for example in midtrain_examples(
                        group, annotations, step.recipe.model.system_prompt
                    )
                )
                write_records(step.folder / "midtrain" / shard.name, examples, Example)
                write_records(target, (a for _, found in annotated for a in found), Annotation)
            advance(number, len(shards), "")


def _annotated(
    groups: Iterator[list[Judged]], count_tokens: CountTokens, selection: MidtrainSelection
) -> Iterator[tuple[list[Judged], list[Annotation]]]:
    found: Sequence[list[Judged]] = list(groups)
    counts = iter(count_tokens([j.rollout.response for group in found for j in group]))
    for group in found:
        yield group, annotate_group(group, [next(counts) for _ in group], selection)


def _copy_taken(folder: Path, is_taken: np.ndarray) -> None:
    """Write the rows of each shard of stage 1 that are taken to the same shard of stage 2."""
    start = 0
    for shard in parquet_files(folder / "midtrain"):
        target = folder / "sft" / shard.name
        examples = pq.read_table(shard)
        stop = start + examples.num_rows
        partial = target.with_name(target.name + ".partial")
        pq.write_table(examples.filter(pa.array(is_taken[start:stop])), partial)
        partial.replace(target)
        start = stop
